import { between } from './backoff.js';
import { TallywireError } from './error.js';
import type { TokenSource } from './types/index.js';

/** Asks the source for a token. */
export async function freshToken(source: TokenSource | undefined): Promise<string | undefined> {
  if (typeof source !== 'function') return source;
  try {
    return await source();
  } catch (cause) {
    throw new TallywireError('token_failed', 'the token source failed', { retry: true, cause });
  }
}

/** What a token says about itself, unverified; empty for one that cannot be read. */
export function claims(token: string | undefined): { sub?: unknown; iat?: unknown; exp?: unknown } {
  try {
    const body = token?.split('.')[1] ?? '';
    return (JSON.parse(atob(body.replace(/-/g, '+').replace(/_/g, '/'))) ?? {}) as object;
  } catch {
    return {};
  }
}

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
