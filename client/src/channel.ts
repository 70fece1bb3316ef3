import type { Conn } from './conn.js';
import type { Position } from './cursor.js';
import { upTo } from './cursor.js';
import type { Listener } from './listener.js';

/** A channel that is followed, with those who listen. */
export interface Channel {
  readonly name: string;
  readonly listeners: Set<Listener>;
  /** How many want to see the members. */
  watchers: number;
  /** The members were asked for, too. */
  presence: boolean;
  /** The connection whose frames count; null while none does. */
  owner: Conn | null;
  /** The last entry that the owner has sent. */
  at?: Position | undefined;
  /** The owner could not resume from there and owes a `reset`. */
  owed?: Position | undefined;
  head?: Position | undefined;
  /** It is not asked for until there is another connection or token. */
  refused: boolean;
  /** Failures in a row, and when it was last taken up. */
  failures: number;
  began: number;
  retry?: ReturnType<typeof setTimeout> | undefined;
  linger?: ReturnType<typeof setTimeout> | undefined;
}

export function channel(name: string): Channel {
  return { name, listeners: new Set(), watchers: 0, presence: false, owner: null, refused: false, failures: 0, began: 0 };
}

/** The earliest position that a listener still needs; the channel's own where nobody listens. */
export function earliest(ch: Channel): Position | undefined {
  let min: Position | undefined;
  for (const { pos } of ch.listeners) if (pos && (!min || pos.offset < min.offset)) min = pos;
  return min ?? (ch.listeners.size === 0 ? ch.at : undefined);
}

/**
 * - `deliver`: it is next
 * - `duplicate`: it was received before
 * - `violation`: neither; a loss or a defect
 */
export type Verdict = 'deliver' | 'duplicate' | 'violation';

/** Judges an advance to c from where somebody was. */
function judge(c: Position, from: Position | undefined): Verdict {
  if (!from || c.offset <= from.offset) return !from || upTo(c, from) ? 'duplicate' : 'violation';
  return c.stamp > from.stamp ? 'deliver' : 'violation';
}

/** Judges an advance by n entries from what the connection sent last: offset = last + 1 + skipped. */
export function judgeOf(ch: Channel, c: Position, n: number): Verdict {
  const verdict = judge(c, ch.at);
  return !ch.at || ch.owed || (verdict === 'deliver' && c.offset - ch.at.offset !== n) ? 'violation' : verdict;
}

/** Judges an advance for one listener, who may be ahead of the connection, or not know where it is. */
export function judgeFor(l: Listener, c: Position): Verdict {
  return judge(c, l.pos);
}

/**
 * Whether a reset concerns a listener. It does not when the connection could not resume from an earlier
 * position, but the listener has since come beyond the reset's cursor.
 */
export function concerned(ch: Channel, l: Listener, reason: string, c: Position): boolean {
  return !(reason === 'trimmed' && ch.owed && l.pos && l.pos.cursor !== ch.owed.cursor && upTo(c, l.pos));
}
