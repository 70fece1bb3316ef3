import { HttpServer } from './http.js';
import type { ErrorCode, Failure, Frame, MemberState } from './frames.js';
import { serverFrames } from './frames.js';
import { formatCursor } from './cursor.js';
import { Hub, type Received, type TestServerOptions } from './hub.js';
import { expired } from './listen.js';
import type { FrameFilter, TransportKind } from './network.js';
import { TestWebSocket } from './socket.js';
import type { TokenClaims } from './tokens.js';

/** An event as a worker publishes it. */
export interface TestEvent {
  readonly type: string;
  readonly id?: string;
  readonly source?: string;
  readonly subject?: string;
  readonly time?: string;
  readonly data?: unknown;
  readonly [extension: string]: unknown;
}

/** A client that listens now. */
export interface TestConnection {
  readonly transport: TransportKind;
  readonly session: string;
  readonly user: string;
  readonly channels: readonly string[];
  /** Where the session is present. */
  readonly present: readonly string[];
}

/** How a request is to fail. */
export interface FailOptions {
  code: ErrorCode;
  message?: string;
  /** A JSON pointer to what is wrong. */
  path?: string;
  /** Only requests about this channel. */
  channel?: string;
  /** How many requests fail (default 1). */
  times?: number;
}

/**
 * A gateway in memory, for tests: it speaks the protocol to a client over `WebSocket`, event streams and polls, and does what a
 * test tells it to. It has no threads, uses `Date` and `setTimeout` only (so that fake timers work), and delivers
 * in microtasks unless it is given a latency.
 *
 *     const server = createTestServer();
 *     const client = createClient(server.options);
 *     server.publish('jobs:42', { type: 'job.progress', data: { job_id: '42', percent: 50 } });
 *     …
 *     server.close();
 */
export class TestServer {
  readonly #hub: Hub;
  readonly #http: HttpServer;
  /** What the server's options say; put it into the client's. */
  readonly url: string;
  /** A WebSocket constructor that reaches this server and nothing else. */
  readonly WebSocket: new (url: string | URL, protocols?: string | string[]) => TestWebSocket;
  /** A `fetch` that reaches this server and nothing else. */
  readonly fetch: typeof globalThis.fetch;

  constructor(options: TestServerOptions = {}) {
    const hub = new Hub(options);
    this.#hub = hub;
    this.#http = new HttpServer(hub);
    this.url = hub.options.url;
    this.fetch = this.#http.fetch;
    this.WebSocket = class extends TestWebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(hub, url, protocols);
      }
    };
  }

  /** `url`, `WebSocket` and `fetch`, to be spread into a client's options. */
  get options(): Pick<TestServer, 'url' | 'WebSocket' | 'fetch'> {
    return { url: this.url, WebSocket: this.WebSocket, fetch: this.fetch };
  }

  /** Issues a token. Any other text, and none, is accepted as well: as the default user's, and it allows everything. */
  token(claims: TokenClaims = {}): string {
    return this.#hub.tokens.issue(claims);
  }

  // What workers do.

  /** Publishes an event as a worker does, and returns its cursor. */
  publish(channel: string, event: TestEvent): string {
    const { at } = this.#hub.log(channel).publish(event, event.id === undefined ? undefined : `${event.source ?? channel}/${event.id}`);
    this.#hub.pump(channel);
    return formatCursor(at);
  }

  /** Sends an ephemeral event to those who listen now. */
  signal(channel: string, event: TestEvent): void {
    this.#hub.signal(channel, event);
  }

  /** Appends events that are left out on purpose, as conflation does: subscribers are told their number only. */
  skip(channel: string, count = 1): void {
    this.#hub.log(channel).skip(count);
    this.#hub.pump(channel);
  }

  /** The retained events of a channel, oldest first. */
  events(channel: string): readonly TestEvent[] {
    return this.#hub.log(channel).events as readonly TestEvent[];
  }

  /** The cursor of the newest entry of a channel. */
  head(channel: string): string {
    return formatCursor(this.#hub.log(channel).head);
  }

  /** Who is in a channel. */
  members(channel: string): readonly MemberState[] {
    return this.#hub.roster.page(channel, '', 1000).members;
  }

  /** Makes somebody else present, and returns the end of it. */
  join(channel: string, user: string, status?: unknown): () => void {
    const claim = {};
    const session = `guest-${user}`;
    this.#hub.roster.enter({ channel, user, name: undefined, session, claim, status });
    return () => this.#hub.roster.leave(channel, user, session, claim);
  }

  /**
   * Loses the gateway that held who is present in a channel (or one user of them), while their connections, to others, stay: members go
   * into grace, and leave when they do not say again that they are present.
   */
  abandon(channel: string, user?: string): void {
    this.#hub.roster.abandon(channel, user);
  }

  // What happens to logs.

  /** Lets go of old events, all but `keep`. Who resumes before them is told `trimmed`. */
  trim(channel: string, keep = 0): void {
    this.#hub.log(channel).trim(keep);
  }

  /** Appends and lets go of events so fast that nobody was sent them: who listens is told `trimmed`. */
  overrun(channel: string, count = 1): void {
    const log = this.#hub.log(channel);
    log.skip(count);
    log.trim(0);
    this.#hub.tellLoss(channel);
  }

  /** Loses the newest entries, as a failover does. Who has had them is told `forked`. */
  fork(channel: string, lost = 1): void {
    this.#hub.log(channel).fork(lost);
    this.#hub.tellLoss(channel);
  }

  /** Ends the channel's stream, as its retention does, and begins another. Who had a cursor is told `expired`. */
  expire(channel: string): void {
    this.#hub.log(channel).expire();
    this.#hub.tellLoss(channel);
  }

  /** Takes a channel away from those who listen: they are told `forbidden`. */
  forbid(channel: string): void {
    for (const s of this.#hub.sessions) s.forbid(channel);
  }

  // What happens to the network.

  /** Loses all connections. `silent`: the clients are not told, as when a cable is pulled. */
  cut(options: { silent?: boolean } = {}): void {
    for (const o of [...this.#hub.outlets]) o.cut(options.silent ?? false);
  }

  /** Closes all connections properly, as a gateway does that restarts (1012) or that an operator stops. */
  disconnect(code = 1012, reason = ''): void {
    for (const s of [...this.#hub.sessions]) s.flush();
    for (const o of [...this.#hub.outlets]) o.close(code, reason);
  }

  /** Refuses new connections by some ways (default all); those that are open stay. */
  refuse(...kinds: TransportKind[]): void {
    for (const k of kinds.length > 0 ? kinds : allKinds) this.#hub.network.refused.add(k);
  }

  /** Accepts connections again by some ways (default all). */
  accept(...kinds: TransportKind[]): void {
    for (const k of kinds.length > 0 ? kinds : allKinds) this.#hub.network.refused.delete(k);
  }

  /** Nothing gets through any more, either way, and nobody is told. New connections hang. */
  freeze(): void {
    this.#hub.network.freeze(true);
  }

  /** Ends a freeze: what was sent arrives. */
  thaw(): void {
    this.#hub.network.freeze(false);
  }

  /** Sets how long each way takes, in milliseconds. */
  delay(latencyMs: number): void {
    this.#hub.network.latencyMs = latencyMs;
  }

  /** Loses frames on their way to clients: the next `n`, or those that the filter takes until its undo is called. */
  dropFrames(which: number | FrameFilter): () => void {
    if (typeof which === 'function') return this.#hub.network.drop(which);
    let left = which;
    return this.#hub.network.drop(() => left-- > 0);
  }

  /** Sends a frame as it stands to all that are connected. */
  send(frame: Frame): void {
    for (const s of this.#hub.sessions) s.send(frame);
  }

  // What a gateway does.

  /** Asks clients to move, and closes after `closeMs` (default `afterMs` and a quarter, as a gateway) those that have not. */
  moving(afterMs = 0, closeMs = afterMs * 1.25): void {
    const leaving = [...this.#hub.outlets];
    for (const s of this.#hub.sessions) s.send(serverFrames.moving(afterMs));
    setTimeout(() => {
      for (const o of leaving) if (this.#hub.outlets.has(o)) o.close(1012, 'gateway is restarting');
    }, Math.max(closeMs, 1));
  }

  /** Says that events are late because the store is away; `undefined` that it is back. */
  degrade(reason: string | undefined): void {
    const sinceMs = this.#hub.now();
    this.#hub.degraded = reason === undefined ? undefined : { reason, sinceMs };
    for (const s of this.#hub.sessions) s.send(serverFrames.degraded(reason !== undefined, reason ?? '', sinceMs));
  }

  /** Ends the life of all tokens that were issued or shown: connections are closed with 4401. */
  expireTokens(): void {
    this.#hub.tokens.expireAll();
    this.#expel(expired);
  }

  /** Revokes the tokens of a user's connections (default everybody's), which are closed with 4401. */
  revoke(user?: string): void {
    for (const s of this.#hub.sessions) if (user === undefined || s.principal.user === user) this.#hub.tokens.revoke(s.principal.token);
    this.#expel({ code: 'token_revoked', message: 'the token was revoked' }, user);
  }

  #expel(failure: Failure, user?: string): void {
    for (const s of [...this.#hub.sessions]) if (user === undefined || s.principal.user === user) s.expel(failure, 4401);
  }

  /**
   * Has the next requests of a type fail: `connect`, `refresh`, `subscribe`, `publish`, `signal`, `presence`, `members`. Returns its undo.
   * `connect` stands for every request over HTTP too.
   */
  fail(type: string, options: FailOptions): () => void {
    const { code, message = code, path, channel, times = 1 } = options;
    return this.#hub.fail(type, channel, { code, message, path }, times);
  }

  // What a test looks at and waits for.

  /** The clients that listen now. A client that polls is here while its request waits. */
  get connections(): readonly TestConnection[] {
    return [...this.#hub.sessions].map((s) => ({
      transport: s.transport, session: s.session, user: s.principal.user, channels: s.channels, present: [...s.present],
    }));
  }

  /** All frames that clients have sent, oldest first; a poll or an event stream is one of that type. */
  get received(): readonly Received[] {
    return this.#hub.received;
  }

  /** Resolves when the condition holds: now, or after a client's frame, a connection or its end. */
  until(condition: () => boolean): Promise<void> {
    return this.#hub.until(condition);
  }

  /** Resolves to the next frame of a type that a client sends. */
  async next(type: string): Promise<Received> {
    const from = this.#hub.received.length;
    let found: Received | undefined;
    await this.#hub.until(() => (found = this.#hub.received.slice(from).find((r) => r.type === type)) !== undefined);
    if (!found) throw new Error(`no ${type}`);
    return found;
  }

  /** Resolves when nothing is on its way that is due; what waits for a clock or a thaw is not waited for. */
  async settled(): Promise<void> {
    for (let quiet = 0; quiet < 20; quiet++) {
      await Promise.resolve();
      if (this.#hub.network.busy) quiet = 0;
    }
  }

  /** Ends it: connections are lost, and no timer is left. */
  close(): void {
    this.refuse();
    this.cut();
    this.#http.end();
    this.#hub.roster.clear();
  }
}

const allKinds: readonly TransportKind[] = ['websocket', 'sse', 'poll', 'commands'];

/** Makes a {@link TestServer}. */
export function createTestServer(options?: TestServerOptions): TestServer {
  return new TestServer(options);
}
