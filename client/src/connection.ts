import { between, jitter } from './backoff.js';
import type { ConnectionHooks, Conn } from './conn.js';
import { needsToken, TallywireError } from './error.js';
import type { ServerFrame } from './frame.js';
import type { Settings } from './settings.js';
import { freshToken } from './token.js';
import type { ConnectionStatus } from './types/index.js';

/** A connection that has lived this long was a good one. */
const STABLE_MS = 5_000;
/** How long the connection before may stay to give what it still owes. */
const RETIRE_MS = 10_000;
/** When to look for a better transport, first and at most. */
const PROBE_MS = 30_000;
const PROBE_MAX_MS = 300_000;

type Timer = ReturnType<typeof setTimeout>;

/** Keeps one connection, and makes the next one before it leaves it where it can. */
export interface Connection {
  /** The one to send on; null without one. */
  current(): Conn | null;
  /** The same, and the one being made. */
  both(): Conn[];
  start(): void;
  reconnect(): void;
  /**
   * It is worth trying at once, and finding out at once whether the connection lives; `anew`: by the best way, since what was
   * found out about the network may be of another one.
   */
  wake(anew?: boolean): void;
  /** Gives up the current one, which does not do what it should, for another. */
  fail(error: TallywireError): void;
  /** What was received is handled: lets go of connections that owe nothing any more. */
  settled(): void;
  close(): void;
}

export function connection(
  s: Settings,
  setStatus: (change: Partial<ConnectionStatus>) => void,
  hooks: ConnectionHooks,
): Connection {
  let misses = 0; // in a row, whatever the transport
  const old = new Map<Conn, Timer>();
  let cur: Conn | null = null;
  let next: Conn | null = null;
  let level = 0;
  let failures = 0; // in a row, of the transport in use
  let everLive = false;
  let state: 'idle' | 'running' | 'closed' = 'idle';
  let attempt = 0; // the number of the newest attempt; what belongs to an earlier one is void
  let probes = 0;
  let probeMs = PROBE_MS;
  let attemptTimer: Timer | undefined;
  let retryTimer: Timer | undefined;
  let probeTimer: Timer | undefined;

  /** Drops the attempt under way. */
  function abandon(): void {
    attempt++;
    clearTimeout(attemptTimer);
    clearTimeout(retryTimer);
    if (next) release(next);
    next = null;
  }

  function trying(change: Partial<ConnectionStatus>): void {
    if (!cur) setStatus({ status: everLive ? 'reconnecting' : 'connecting', ...change });
  }

  function release(c: Conn): void {
    c.link.close();
    hooks.lost(c);
  }

  /** Lets go of the current connection. */
  function leave(): void {
    const c = cur;
    cur = null;
    if (c) release(c);
  }

  /** Opens a connection over a transport; `quiet` when it is only to be seen whether that works. */
  async function open(at: number, quiet: boolean): Promise<void> {
    abandon();
    const mine = attempt;
    const failed = (error: TallywireError) => {
      if (mine !== attempt) return;
      const proven = next?.link.proven() ?? false;
      abandon();
      if (quiet) {
        probeMs = Math.min(probeMs * 2, PROBE_MAX_MS);
        probeLater();
      } else missed(error, proven);
    };
    trying({ retryAt: null });
    attemptTimer = setTimeout(() => failed(new TallywireError('timeout', 'no connection in time', { retry: true })), s.timeoutMs);
    try {
      const [openLink, token] = await Promise.all([s.load(s.transports[at] ?? 'websocket'), freshToken(s.token)]);
      if (mine !== attempt) return;
      const link = openLink(token, {
        open: (f) => attach(c, at, f),
        frames: (frames) => take(c, frames),
        down: (error) => (next === c ? failed(error) : down(c, error)),
        rtt(ms) {
          c.rttMs = ms;
          if (c === cur) setStatus({ latencyMs: ms });
        },
      });
      const c: Conn = { link, token, asks: new Map(), up: 0, expires: undefined, rttMs: null };
      next = c;
      hooks.opening(c);
    } catch (cause) {
      if (mine !== attempt) return;
      const error = cause instanceof TallywireError ? cause : new TallywireError('network', 'cannot connect', { cause });
      // What this environment lacks it will lack at the next attempt, too.
      if (error.code === 'invalid_argument' && s.transports.length > 1) {
        s.transports.splice(at, 1);
        level = 0;
        void open(0, quiet);
      } else failed(error);
    }
  }

  function attach(c: Conn, at: number, f: ServerFrame): void {
    next = null; // it is not abandoned with the attempt
    abandon();
    const prev = cur;
    cur = c;
    c.up = Date.now();
    if (at !== level) failures = 0;
    level = at;
    everLive = true;
    setStatus({
      status: 'live',
      transport: c.link.name,
      latencyMs: c.rttMs,
      retryAt: null,
      lastError: null,
      ...(f.user !== undefined && { user: f.user }), // the answer to a poll does not say
      gateway: f.gateway ?? null,
    });
    if (prev) old.set(prev, setTimeout(() => retire(prev), RETIRE_MS));
    c.expires = f.expires;
    clearTimeout(probeTimer);
    if (level > 0) probeLater();
    else {
      probeMs = PROBE_MS;
      // While the network is good: the file may be gone when it is needed, after a deploy.
      if (s.transports.length > 1) s.load('poll').catch(() => {});
    }
    hooks.attached(c);
    retireOwing();
  }

  function retire(c: Conn): void {
    clearTimeout(old.get(c));
    if (old.delete(c)) release(c);
  }

  /** Lets go of earlier connections that owe nothing any more. */
  function retireOwing(): void {
    for (const c of old.keys()) if (!hooks.owes(c)) retire(c);
  }

  function take(c: Conn, frames: ServerFrame[]): void {
    for (const f of frames) {
      if (c !== cur) break;
      if (f.type === 'moving') openIn(f.after_ms ?? 0);
      else if (f.type === 'degraded') setStatus({ status: f.degraded ? 'degraded' : 'live' });
    }
    hooks.frames(c, frames);
  }

  function down(c: Conn, error: TallywireError): void {
    retire(c);
    if (c !== cur) return;
    cur = null;
    hooks.lost(c);
    clearTimeout(probeTimer);
    const stable = Date.now() - c.up >= STABLE_MS;
    const proven = stable && c.link.proven();
    if (stable) misses = 0;
    if (proven) failures = 0;
    setStatus({ status: 'reconnecting', transport: null, latencyMs: null, lastError: error });
    if (next) return; // the next one is being made already
    missed(error, proven);
  }

  /** An attempt, or a connection, came to nothing: waits, perhaps for another transport. */
  function missed(error: TallywireError, proven: boolean): void {
    const broken = error.code === 'too_many_errors';
    const blameless = proven || broken || needsToken(error) || error.retryAfterMs !== undefined;
    if (!blameless && ++failures >= (everLive ? 3 : 2)) {
      failures = 0;
      level = (level + 1) % s.transports.length;
    }
    let wait = Math.max(jitter(s.minMs, s.maxMs, misses++), (error.retryAfterMs ?? 0) * between(1, 1.25));
    if (broken || (error.status === 403 && !error.retry)) wait = s.maxMs * between(1, 2);
    trying({ lastError: error, retryAt: Date.now() + wait });
    openIn(wait);
  }

  function openIn(ms: number): void {
    clearTimeout(retryTimer);
    retryTimer = setTimeout(() => void open(level, false), ms);
  }

  /** Looks for a better transport after a while, which is longer each time that there was none. */
  function probeLater(): void {
    clearTimeout(probeTimer);
    probeTimer = setTimeout(() => {
      if (cur && !next) void open(probes++ % level, true);
      else probeLater();
    }, probeMs * between(0.8, 1.2));
  }

  /** Tries at once what was to be tried later. */
  function now(): void {
    misses = 0;
    void open(level, false);
  }

  function start(): void {
    if (state !== 'idle') return;
    state = 'running';
    now();
  }

  return {
    start,
    current: () => cur,
    both: () => [cur, next].filter((c) => c !== null),
    settled: retireOwing,
    wake(anew) {
      if (anew) {
        failures = 0;
        probeMs = PROBE_MS;
      }
      if (cur) {
        cur.link.probe();
        if (anew && level > 0 && !next) void open(0, true);
      } else if (state === 'running' && (anew || !next)) {
        if (anew) level = 0;
        now();
      }
    },
    fail(error) {
      if (!cur) return;
      cur.link.close();
      down(cur, error);
    },
    reconnect() {
      if (state === 'idle') return start();
      if (state === 'closed') return;
      leave();
      now();
    },
    close() {
      state = 'closed';
      abandon();
      clearTimeout(probeTimer);
      for (const c of old.keys()) retire(c);
      leave();
      setStatus({ status: 'closed', transport: null, latencyMs: null, retryAt: null });
    },
  };
}
