import { between, jitter } from './backoff.js';
import { claims } from './claims.js';
import type { Conn } from './conn.js';
import type { TallywireError } from './error.js';
import { freshToken } from './token.js';
import type { TokenSource } from './types/index.js';

const MIN_MS = 5_000;
const MAX_MS = 86_400_000;

/**
 * When to ask for the next token, in milliseconds from now: at 80 to 90 % of what is left. The gateway has just accepted the
 * token, so what is left is positive whatever the local clock says; a clock that is wrong by hours is caught by the token's own life.
 */
export function refreshIn(expires: number, token: string | undefined, now: number): number {
  const byClock = expires * 1000 - now;
  const { iat } = claims(token);
  const life = typeof iat === 'number' && iat < expires ? (expires - iat) * 1000 : MAX_MS;
  const left = byClock > 0 ? Math.min(byClock, life) : life;
  return Math.min(Math.max(left * between(0.8, 0.9), MIN_MS), MAX_MS);
}

/** Replaces tokens before they expire, on the connection. */
export interface Refresher {
  /** Sees to the token of a connection, which is the current one. */
  watch(c: Conn): void;
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

  return {
    watch(c) {
      clearTimeout(timer);
      tries = 0;
      if (!c.expires || typeof n.token !== 'function') return;
      timer = setTimeout(() => void refresh(c), refreshIn(c.expires, c.token, Date.now()));
    },
    stop: () => clearTimeout(timer),
  };
}
