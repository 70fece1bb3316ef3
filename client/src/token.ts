import { TallywireError } from './error.js';
import type { TokenSource } from './types/index.js';

/** Asks the source for a token. */
export async function freshToken(source: TokenSource | undefined): Promise<string | undefined> {
  if (typeof source !== 'function') return source;
  try {
    return await source();
  } catch (cause) {
    throw new TallywireError('token_failed', 'token source failed', { retry: true, cause });
  }
}
