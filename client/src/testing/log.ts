import { origin, samePosition, type Position } from './cursor.js';
import type { ResetReason } from './frames.js';

/** An entry of a log. Without `event` it is one that subscribers are not sent: the first of a stream, or a skipped one. */
interface Entry {
  readonly at: Position;
  readonly before: Position;
  readonly event?: unknown;
}

/** What a subscriber must be told where its cursor cannot be honoured; its events go on after `cursor`. */
export interface Loss {
  readonly reason: ResetReason;
  readonly cursor: Position;
  readonly head: Position;
}

/** What comes after a position: events with the number of skipped ones before each, and those after the last. */
export interface Run {
  readonly events: readonly { readonly at: Position; readonly event: unknown; readonly skipped: number }[];
  readonly skipped: number;
  readonly end: Position;
}

const dedupMs = 10 * 60_000;

/** The log of one channel: the entries that are retained, the head, and the ids published of late. */
export class ChannelLog {
  #entries: Entry[] = [];
  #seen = new Map<string, { at: Position; until: number }>();
  #head: Position = origin;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.#append(undefined);
  }

  /** The newest entry. */
  get head(): Position {
    return this.#head;
  }

  /** The position after which nothing is missing. */
  get oldest(): Position {
    return this.#entries[0]?.before ?? this.#head;
  }

  /** Where a reader is sent that cannot go on: all that is retained comes after it. */
  get #again(): Position {
    const first = this.#entries[0];
    return first?.at.offset === 1 ? first.at : this.oldest;
  }

  /** The retained events, oldest first. */
  get events(): readonly unknown[] {
    return this.#entries.filter((e) => e.event !== undefined).map((e) => e.event);
  }

  /** Appends an event, or finds it where its id was published within ten minutes. */
  publish(event: unknown, id: string | undefined): { at: Position; duplicate: boolean } {
    const now = this.#now();
    const earlier = id === undefined ? undefined : this.#seen.get(id);
    if (earlier && earlier.until > now) return { at: earlier.at, duplicate: true };
    const at = this.#append(event);
    if (id !== undefined) this.#seen.set(id, { at, until: now + dedupMs });
    return { at, duplicate: false };
  }

  /** Appends entries that subscribers are told of only as a number. */
  skip(count: number): void {
    for (let i = 0; i < count; i++) this.#append(undefined);
  }

  #append(event: unknown): Position {
    const at = { offset: this.#head.offset + 1, stamp: Math.max(this.#now() * 1000, this.#head.stamp + 1) };
    this.#entries.push({ at, before: this.#head, event });
    this.#head = at;
    return at;
  }

  /** Lets go of all entries but the newest ones. */
  trim(keep: number): void {
    this.#entries = keep > 0 ? this.#entries.slice(-keep) : [];
  }

  /** Loses the newest entries, as a failover to a replica that lags does. */
  fork(lost: number): void {
    const gone = this.#entries.splice(Math.max(0, this.#entries.length - lost));
    const first = gone[0];
    if (!first) return;
    this.#head = first.before;
    for (const [id, { at }] of this.#seen) if (at.offset >= first.at.offset) this.#seen.delete(id);
    if (this.#head.offset === 0) this.#append(undefined);
  }

  /** Ends the stream and begins another, as when nothing was published for the channel's retention. */
  expire(): void {
    const { stamp } = this.#head;
    this.#entries = [];
    this.#seen.clear();
    this.#head = { offset: 0, stamp };
    this.#append(undefined);
    const genesis = this.#entries[0];
    if (genesis) this.#entries = [{ ...genesis, before: origin }];
  }

  /** Judges a cursor: `undefined` where its subscriber can go on after it. */
  check(c: Position): Loss | undefined {
    const loss = (reason: ResetReason, cursor: Position): Loss => ({ reason, cursor, head: this.#head });
    if (samePosition(c, this.#head)) return undefined;
    const first = this.#entries[0];
    if (c.offset > 0 && first?.at.offset === 1 && c.stamp < first.at.stamp) return loss('expired', this.#again);
    if (c.offset >= this.#head.offset) return loss('forked', this.#shared(c));
    if (c.offset < this.oldest.offset) return loss('trimmed', this.#again);
    const known = this.#entries.find((e) => e.before.offset === c.offset)?.before;
    return known && samePosition(known, c) ? undefined : loss('forked', this.#shared(c));
  }

  /** The newest entry that was there before the one at c, as far as its stamp tells. */
  #shared(c: Position): Position {
    const shared = this.#entries.filter((e) => e.at.stamp < c.stamp && e.at.offset < c.offset).at(-1);
    return shared?.at ?? this.#again;
  }

  /** The position before what was published after a time in milliseconds, and the loss where that is not retained. */
  since(ms: number): { at: Position; loss?: Loss } {
    const stamp = ms * 1000;
    const next = this.#entries.find((e) => e.at.stamp > stamp);
    const at = next?.before ?? this.#head;
    if (this.oldest.stamp > stamp) return { at, loss: { reason: 'trimmed', cursor: this.#again, head: this.#head } };
    return { at };
  }

  /** What comes after a position, which must be one that {@link check} honours. */
  after(p: Position): Run {
    const events: { at: Position; event: unknown; skipped: number }[] = [];
    let skipped = 0;
    for (const e of this.#entries) {
      if (e.at.offset <= p.offset || e.at.offset === 1) continue;
      if (e.event === undefined) skipped++;
      else {
        events.push({ at: e.at, event: e.event, skipped });
        skipped = 0;
      }
    }
    return { events, skipped, end: this.#head };
  }
}
