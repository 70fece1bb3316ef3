import { channelProblem, execute, presenceProblem, type Caller } from './commands.js';
import { parseCursor, type Position } from './cursor.js';
import type { ChannelRequest, ClientFrame } from './decode.js';
import { serverFrames, type Failure, type Frame, type FrameId } from './frames.js';
import type { Hub } from './hub.js';
import type { Loss } from './log.js';
import type { TransportKind } from './network.js';
import type { MemberChange } from './roster.js';
import { isPrincipal, type Principal } from './tokens.js';

const maxSubscriptions = 1000;

/** Carries a session's frames to its client. */
export interface Outlet {
  write(frames: readonly Frame[]): void;
  /** Ends the connection from the server's side. */
  close(code: number, reason: string): void;
  /** Loses the connection. `silent`: the client is not told. */
  cut(silent: boolean): void;
}

/** How a `subscribe` is answered: with `subscribed` always, or, as in a poll, only where the client must know a cursor. */
export type Answering = 'always' | 'when-moved';

/** One listening client: a WebSocket connection, an event stream, or a poll. */
export class Session implements Caller {
  readonly present = new Set<string>();
  #subscriptions = new Map<string, { position: Position }>();
  #watching = new Map<string, Set<'member' | 'subscriber'>>();
  #outbox: Frame[] = [];
  #flushing = false;
  #ended = false;

  constructor(
    readonly hub: Hub,
    readonly transport: TransportKind,
    readonly session: string,
    public principal: Principal,
    readonly outlet: Outlet,
  ) {
    hub.sessions.add(this);
  }

  /** Whether it is over. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Says `connected`, and whether events are late. */
  welcome(id: FrameId): void {
    const { gateway, pingMs } = this.hub.options;
    const { user, expires } = this.principal;
    const seconds = Number.isFinite(expires) ? Math.floor(expires / 1000) : undefined;
    this.send(serverFrames.connected(id, { session: this.session, user, gateway, pingMs, expires: seconds }));
    const { degraded } = this.hub;
    if (degraded) this.send(serverFrames.degraded(true, degraded.reason, degraded.sinceMs));
  }

  /** The channels that it is subscribed to. */
  get channels(): string[] {
    return [...this.#subscriptions.keys()];
  }

  /** How far the client has been sent a channel; nothing where it is not subscribed. */
  position(channel: string): Position | undefined {
    return this.#subscriptions.get(channel)?.position;
  }

  /** Sends a frame, together with others of the same moment. */
  send(frame: Frame): void {
    if (this.#ended) return;
    this.#outbox.push(frame);
    if (this.#flushing) return;
    this.#flushing = true;
    void Promise.resolve().then(() => {
      this.#flushing = false;
      this.flush();
    });
  }

  /** Sends what waits, now. */
  flush(): void {
    const frames = this.#outbox;
    if (this.#ended || frames.length === 0) return;
    this.#outbox = [];
    this.outlet.write(frames);
  }

  reply(frame: Frame): void {
    this.send(frame);
  }

  /** Handles a frame of a client that is connected. */
  command(f: ClientFrame): void {
    if (execute(this, f)) return;
    switch (f.type) {
      case 'subscribe':
        for (const [i, c] of (f.channels ?? []).entries()) {
          this.subscribe(f.id, c, 'always', f.channel === undefined ? `/channels/${i}` : '');
        }
        break;
      case 'unsubscribe':
        for (const c of f.channels ?? []) this.#unsubscribe(f.id, c.channel);
        break;
      case 'refresh':
        this.#refresh(f);
        break;
      case 'connect':
        this.send(serverFrames.error(f.id, { code: 'already_connected', message: 'the connection is connected already' }));
        break;
      default:
        this.send(serverFrames.error(f.id, { code: 'unknown_type', message: 'type: is not known', path: '/type' }));
    }
  }

  /** Subscribes to a channel. Returns why not, after having said so. */
  subscribe(id: FrameId, request: ChannelRequest, answering: Answering, path = ''): Failure | undefined {
    const { channel } = request;
    const problem = this.#problem(request);
    if (problem) {
      const failure = { ...problem, path: problem.path && path + problem.path, channel };
      this.send(serverFrames.error(id, failure));
      return failure;
    }
    const cursor = request.cursor ? parseCursor(request.cursor) : undefined;
    const start = this.#start(channel, cursor, request.since);
    this.#subscriptions.set(channel, { position: start.at });
    this.#watching.get(channel)?.delete('subscriber');
    if (answering === 'always' || !cursor || start.loss) {
      const { head } = this.hub.log(channel);
      this.send(serverFrames.subscribed(id, channel, cursor ?? start.at, head, cursor !== undefined && !start.loss));
    }
    if (start.loss) this.reset(channel, start.loss);
    if (request.presence) this.#watch(channel, 'subscriber', request.members);
    this.pump(channel);
    this.hub.changed();
    return undefined;
  }

  #problem(request: ChannelRequest): Failure | undefined {
    const { channel, cursor, since } = request;
    const failure = channelProblem(channel) ?? this.hub.failure('subscribe', channel);
    if (failure) return failure;
    if (!this.principal.may('subscribe', channel)) {
      return { code: 'forbidden', message: 'the token does not allow to subscribe to this channel' };
    }
    const unseen = request.presence ? presenceProblem(this.principal, channel) : undefined;
    if (unseen) return { ...unseen, path: '/presence' };
    if (cursor && !parseCursor(cursor)) {
      return { code: 'invalid_cursor', message: 'cursor: must be <offset>-<stamp>', path: '/cursor' };
    }
    if (since && Number.isNaN(Date.parse(since))) {
      return { code: 'invalid_since', message: 'since: must be an RFC 3339 time', path: '/since' };
    }
    if (!this.#subscriptions.has(channel) && this.#subscriptions.size >= maxSubscriptions) {
      return { code: 'too_many_subscriptions', message: 'the connection has as many subscriptions as it may' };
    }
    return undefined;
  }

  #start(channel: string, cursor: Position | undefined, since: string | undefined): { at: Position; loss?: Loss } {
    const log = this.hub.log(channel);
    if (cursor) {
      const loss = log.check(cursor);
      return loss ? { at: loss.cursor, loss } : { at: cursor };
    }
    return since ? log.since(Date.parse(since)) : { at: log.head };
  }

  /** Sends what is new in a channel. */
  pump(channel: string): void {
    const s = this.#subscriptions.get(channel);
    if (!s) return;
    const run = this.hub.log(channel).after(s.position);
    for (const e of run.events) this.send(serverFrames.event(channel, e.at, e.event, e.skipped));
    if (run.skipped > 0) this.send(serverFrames.skip(channel, run.end, run.skipped));
    s.position = run.end;
  }

  /** Tells of a loss, and goes on after it. */
  reset(channel: string, loss: Loss): void {
    const s = this.#subscriptions.get(channel);
    if (!s) return;
    this.send(serverFrames.reset(channel, loss.reason, loss.cursor, loss.head));
    s.position = loss.cursor;
    if (loss.reason === 'forbidden') {
      this.#forget(channel);
      this.send(serverFrames.unsubscribed(undefined, channel));
    }
  }

  /** Ends a subscription that is not allowed any more. */
  forbid(channel: string): void {
    const cursor = this.position(channel);
    if (cursor) this.reset(channel, { reason: 'forbidden', cursor, head: this.hub.log(channel).head });
  }

  #unsubscribe(id: FrameId, channel: string): void {
    if (!this.#subscriptions.has(channel)) {
      const message = 'the session is not subscribed to this channel';
      this.send(serverFrames.error(id, { code: 'not_subscribed', message, channel }));
      return;
    }
    this.#forget(channel);
    this.send(serverFrames.unsubscribed(id, channel));
    this.hub.changed();
  }

  #forget(channel: string): void {
    this.#subscriptions.delete(channel);
    this.#watching.get(channel)?.delete('subscriber');
    this.leave(channel);
  }

  #refresh(f: ClientFrame): void {
    const judged = this.hub.failure('refresh') ?? this.hub.tokens.judge(f.token);
    if (!isPrincipal(judged)) {
      this.send(serverFrames.error(f.id, judged));
      return;
    }
    if (judged.user !== this.principal.user) {
      this.send(serverFrames.error(f.id, { code: 'unauthorized', message: 'the token is of another user' }));
      return;
    }
    this.principal = judged;
    this.send(serverFrames.refreshed(f.id, Number.isFinite(judged.expires) ? Math.floor(judged.expires / 1000) : 0));
    for (const channel of this.channels) if (!judged.may('subscribe', channel)) this.forbid(channel);
  }

  enter(channel: string, status: unknown): void {
    const { user, name } = this.principal;
    this.hub.roster.enter({ channel, user, name, status, session: this.session, claim: this });
    if (this.present.has(channel)) return;
    this.present.add(channel);
    this.#watch(channel, 'member');
  }

  leave(channel: string): boolean {
    if (!this.present.delete(channel)) return false;
    this.#watching.get(channel)?.delete('member');
    this.hub.roster.leave(channel, this.principal.user, this.session, this);
    return true;
  }

  /** Sends the members and what changes about them; not the members where the client has them at the known version. */
  #watch(channel: string, reason: 'member' | 'subscriber', known?: number): void {
    const reasons = this.#watching.get(channel) ?? new Set();
    this.#watching.set(channel, reasons);
    const first = reasons.size === 0;
    reasons.add(reason);
    if (!first || known === this.hub.roster.version(channel)) return;
    this.send(serverFrames.members(undefined, channel, this.hub.roster.page(channel)));
  }

  /** Tells of a change of members, where the session watches them. */
  memberChanged(c: MemberChange): void {
    if (!this.#watching.get(c.channel)?.size) return;
    this.send(serverFrames.member(c.channel, c.version, c.prev, c.action, c.member));
  }

  /** Says why, and closes. */
  expel(failure: Failure, code: number): void {
    this.send(serverFrames.error(undefined, failure));
    this.flush();
    this.outlet.close(code, failure.code);
  }

  /** Gives up everything; the members see it go. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.hub.sessions.delete(this);
    for (const channel of this.present) this.hub.roster.vanish(channel, this.principal.user, this.session, this);
    this.hub.changed();
  }
}
