import type { Cursor } from '../types/index.js';

/** What every hook that follows something takes. */
export interface SkipOption {
  /** Follow nothing for now. The hook returns what it would on a server. */
  skip?: boolean | undefined;
}

/** Where to begin, as for `client.subscribe`. */
export interface FromOption {
  /** `'now'`, after a cursor (`'0'`: all that is retained), or after a time. Another one begins anew. */
  from?: 'now' | Cursor | Date | undefined;
}

/** Picks what a component shows, so that it renders for nothing else. */
export interface SelectOptions<S, T> {
  select?: ((state: S) => T) | undefined;
  /** When two selections are the same: `Object.is` unless told otherwise; see `shallow`. */
  equal?: ((a: T, b: T) => boolean) | undefined;
}
