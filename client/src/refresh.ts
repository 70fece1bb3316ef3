import { between, jitter } from './backoff.js';
import { claims } from './claims.js';
import type { Conn } from './conn.js';
import { position } from './cursor.js';
import type { TallywireError } from './error.js';
import type { ServerFrame } from './frame.js';
import { freshToken } from './token.js';
import type { TokenSource } from './types/index.js';

const MIN_MS = 5_000;
const MAX_MS = 86_400_000;
/** How often at most it is looked what time it is at the gateway. */
const LOOK_MS = 1_000;
/** What is taken to be left where neither the clock nor the token says it. */
const UNKNOWN_MS = 60_000;

/**
 * When to ask for the next token, in milliseconds from now: at 80 to 90 % of what is left. The gateway has just accepted the
 * token, so what is left is positive whatever the local clock says; a clock that is wrong by hours is caught by the token's own life.
 *
 * @param now the gateway's time as far as it is known
 */
export function refreshIn(expires: number, token: string | undefined, now: number): number {
  const byClock = expires * 1000 - now;
  const { nbf, iat: from = nbf } = claims(token);
  const life = typeof from === 'number' && from < expires ? (expires - from) * 1000 : undefined;
  const left = byClock > 0 ? Math.min(byClock, life ?? byClock) : (life ?? UNKNOWN_MS);
  return Math.min(Math.max(left * between(0.8, 0.9), MIN_MS), MAX_MS);
}

/** Replaces tokens before they expire, on the connection. */
export interface Refresher {
  /** Sees to the token of a connection, which is the current one. */
  watch(c: Conn): void;
  /** Sees all frames: they tell what time it is at the gateway, whose clock may be another one. */
  hear(f: ServerFrame): void;
  stop(): void;
}

export interface RefresherNeeds {
  readonly token: TokenSource | undefined;
  current(): Conn | null;
  id(): number;
  report(error: TallywireError): void;
}

export function refresher(n: RefresherNeeds): Refresher {
  let tries = 0;
  let ahead = 0; // the gateway's clock, of this one; at least, until it is known
  let looked = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function refresh(c: Conn): Promise<void> {
    try {
      const token = await freshToken(n.token);
      if (c !== n.current() || !token) return;
      c.token = token;
      c.link.refresh(n.id(), token);
    } catch (error) {
      if (c !== n.current()) return;
      n.report(error as TallywireError);
    }
    // Until the gateway says otherwise.
    timer = setTimeout(() => void refresh(c), MIN_MS + jitter(1_000, 60_000, tries++));
  }

  function watch(c: Conn): void {
    clearTimeout(timer);
    tries = 0;
    if (!c.expires || typeof n.token !== 'function') return;
    timer = setTimeout(() => void refresh(c), refreshIn(c.expires, c.token, Date.now() + ahead));
  }

  return {
    watch,
    hear(f) {
      const c = n.current();
      const now = Date.now();
      if (f.code === 'token_expired' && f.id === undefined && c?.expires) ahead = c.expires * 1000 - now;
      if (now - looked < LOOK_MS) return;
      looked = now;
      // What the store has stamped is not from the future.
      const stamp = position(f.head ?? f.cursor)?.stamp ?? f.version ?? 0;
      const least = stamp / 1000 - now;
      if (least <= ahead + MIN_MS) return;
      ahead = least;
      if (c) watch(c);
    },
    stop: () => clearTimeout(timer),
  };
}
