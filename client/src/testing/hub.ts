import { serverFrames, type Failure, type Frame } from './frames.js';
import { ChannelLog } from './log.js';
import { Network, type TransportKind } from './network.js';
import { Roster } from './roster.js';
import type { Outlet, Session } from './session.js';
import { Tokens, type Principal } from './tokens.js';

/** How the server behaves. Every field may be left out. */
export interface TestServerOptions {
  /** Where the server claims to be (default `http://tallywire.test`). Requests elsewhere fail as to a host that does not exist. */
  url?: string;
  /** The user of tokens that say nothing else (default `alice`). */
  user?: string;
  /** The gateway's name (default `gw-1`). */
  gateway?: string;
  /** Silence after which the server pings, in milliseconds (default 25,000). A client silent for twice as long is dropped. */
  pingMs?: number;
  /** How long an absent member stays in milliseconds (default 10,000). */
  graceMs?: number;
  /** Whether a client without a token is refused (default false, as at a gateway without keys). */
  requireToken?: boolean;
  /** Lifetime of the tokens of `server.token()` in milliseconds (default one hour). */
  tokenTtlMs?: number;
  /** How far the server's clock is ahead of the client's, in milliseconds (default 0). */
  skewMs?: number;
  /** How long each way through the network takes in milliseconds (default 0: a microtask). */
  latencyMs?: number;
  /** Holds an event that a client publishes against rules of your own: says what is wrong with it, or nothing. */
  validate?: (channel: string, event: { type: string; data?: unknown }) => { path: string; message: string } | undefined;
}

/** A frame that a client has sent. */
export interface Received {
  readonly transport: TransportKind;
  readonly session: string | undefined;
  readonly type: string;
  readonly frame: Frame;
}

interface Rule {
  readonly type: string;
  readonly channel: string | undefined;
  readonly failure: Failure;
  left: number;
}

/** What all transports of the server share: logs, members, tokens, the sessions that listen, the faults. */
export class Hub {
  readonly options: Required<Omit<TestServerOptions, 'validate'>>;
  readonly validate: TestServerOptions['validate'];
  readonly network = new Network();
  readonly tokens: Tokens;
  readonly roster: Roster;
  readonly sessions = new Set<Session>();
  /** Everything that holds a connection open, also one without a session yet. */
  readonly outlets = new Set<Outlet>();
  readonly received: Received[] = [];
  degraded: { reason: string; sinceMs: number } | undefined;
  readonly now = (): number => Date.now() + this.options.skewMs;
  #logs = new Map<string, ChannelLog>();
  #rules: Rule[] = [];
  #waiters = new Set<() => void>();
  #names = 0;

  constructor(o: TestServerOptions) {
    this.options = {
      url: o.url ?? 'http://tallywire.test',
      user: o.user ?? 'alice',
      gateway: o.gateway ?? 'gw-1',
      pingMs: o.pingMs ?? 25_000,
      graceMs: o.graceMs ?? 10_000,
      tokenTtlMs: o.tokenTtlMs ?? 3_600_000,
      latencyMs: o.latencyMs ?? 0,
      skewMs: o.skewMs ?? 0,
      requireToken: o.requireToken ?? false,
    };
    this.validate = o.validate;
    this.network.latencyMs = this.options.latencyMs;
    const { user, tokenTtlMs: ttlMs, requireToken: required } = this.options;
    this.tokens = new Tokens({ now: this.now, user, ttlMs, required });
    this.roster = new Roster({
      now: this.now,
      graceMs: this.options.graceMs,
      changed: (change) => {
        for (const s of this.sessions) s.memberChanged(change);
      },
    });
  }

  /** The log of a channel, opened when it is first asked for. */
  log(channel: string): ChannelLog {
    let log = this.#logs.get(channel);
    if (!log) this.#logs.set(channel, (log = new ChannelLog(this.now)));
    return log;
  }

  /** Sends subscribers what is new in a channel. */
  pump(channel: string): void {
    for (const s of this.sessions) s.pump(channel);
  }

  /** Tells subscribers of a channel what they have lost there. */
  tellLoss(channel: string): void {
    const log = this.log(channel);
    for (const s of this.sessions) {
      const position = s.position(channel);
      const loss = position && log.check(position);
      if (loss) s.reset(channel, loss);
    }
  }

  /** Sends an ephemeral event to those who listen now. */
  signal(channel: string, event: unknown): void {
    for (const s of this.sessions) if (s.position(channel)) s.send(serverFrames.signal(channel, event));
  }

  /** Has the next requests of a type fail; returns its undo. */
  fail(type: string, channel: string | undefined, failure: Failure, times: number): () => void {
    const rule: Rule = { type, channel, failure, left: times };
    this.#rules.push(rule);
    return () => {
      rule.left = 0;
    };
  }

  /** The failure that was asked for, if any; it counts as used. */
  failure(type: string, channel?: string): Failure | undefined {
    const rule = this.#rules.find((r) => r.left > 0 && r.type === type && (r.channel === undefined || r.channel === channel));
    if (!rule) return undefined;
    rule.left--;
    return channel === undefined ? rule.failure : { ...rule.failure, channel };
  }

  /** Judges a token, or fails as the rules for `connect` say. */
  authenticate(token: string | undefined): Principal | Failure {
    return this.failure('connect') ?? this.tokens.judge(token);
  }

  /** Notes what a client has sent. */
  note(received: Received): void {
    this.received.push(received);
    this.changed();
  }

  /** Looks again at what is waited for. */
  changed(): void {
    for (const look of [...this.#waiters]) look();
  }

  /** Resolves when the condition holds: now, or after a frame of a client, a connection or its end. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.#waiters.delete(look);
        resolve();
      };
      this.#waiters.add(look);
      look();
    });
  }

  /** A name for a session without one. */
  newName(): string {
    return `session-${++this.#names}`;
  }
}
