import type { Cursor } from './types/index.js';

/** A cursor that was read: microseconds since 1970 are exact in a number until the year 2255. */
export interface Position {
  readonly cursor: Cursor;
  readonly offset: number;
  readonly stamp: number;
}

/** Reads a cursor; undefined where it is none. `"0"` stands at the entry that opens a stream and is never delivered. */
export function position(cursor: unknown): Position | undefined {
  if (cursor === '0') return { cursor, offset: 1, stamp: 0 };
  if (typeof cursor !== 'string') return undefined;
  const m = /^(\d{1,16})-(\d{1,16})$/.exec(cursor);
  return m ? { cursor, offset: Number(m[1]) || 1, stamp: Number(m[2]) } : undefined;
}

/**
 * Reports whether c may be an entry at or before ref in the same log. Offsets come again after a fork,
 * stamps do not: a later offset with an earlier stamp belongs to another log.
 */
export function upTo(c: Position, ref: Position): boolean {
  return c.cursor === ref.cursor || (c.offset < ref.offset && c.stamp < ref.stamp);
}
