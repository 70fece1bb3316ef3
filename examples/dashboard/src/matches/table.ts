import type { ChannelEvent, Client, EventMap, Reset, Subscription } from '@tallywire/client';
import { caughtUp } from '../ui/cursor';
import { after, type Match, type MatchStatus } from './match';

export type Counts = Readonly<Record<MatchStatus, number>>;

/** What the table looks like at one moment. */
export interface TableView {
  readonly rows: ReadonlyMap<string, Match>;
  readonly counts: Counts;
  /** Grows with every change. */
  readonly version: number;
  /** The `touched` of the match that changed last. */
  readonly touched: number;
  /** What was there when the page came has arrived. */
  readonly loaded: boolean;
  /** Older matches are no longer retained, so that some are missing here. */
  readonly incomplete: boolean;
  readonly refused: string | null;
}

/** As often as eyes can follow a table. */
const SHOW_MS = 80;

const NO_COUNTS: Counts = { confirmed: 0, proposed: 0, rejected: 0, disputed: 0 };

export const EMPTY: TableView = {
  rows: new Map(),
  counts: NO_COUNTS,
  version: 0,
  touched: 0,
  loaded: false,
  incomplete: false,
  refused: null,
};

/**
 * The matches of one job, kept from the events of its channel. It reads all that the channel retains. The
 * view changes a dozen times a second at most, however many events there are; the map in it is the same one all the time.
 */
export class MatchTable {
  readonly channel: string;
  #rows = new Map<string, Match>();
  #counts = { ...NO_COUNTS };
  #version = 0;
  #touched = 0;
  #loaded = false;
  #incomplete = false;
  #refused: string | null = null;
  #view: TableView = EMPTY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #client: Client<EventMap>;

  constructor(client: Client<EventMap>, job: string) {
    this.#client = client;
    this.channel = `matches:${job}`;
  }

  readonly get = (): TableView => this.#view;

  /** Follows the channel while somebody listens. */
  readonly listen = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    const stop = this.#listeners.size === 1 ? this.#follow() : () => {};
    return () => {
      this.#listeners.delete(listener);
      stop();
    };
  };

  #follow(): () => void {
    this.#clear();
    const subscription = this.#client.subscribe(this.channel, (e) => this.#take(e), {
      from: '0',
      onReset: (r) => this.#reset(r),
      onError: (e) => {
        this.#refused = e.retry ? null : e.message;
        this.#changed();
      },
    });
    const undo = subscription.onState(() => this.#caughtUp(subscription));
    return () => {
      undo();
      subscription.close();
      clearTimeout(this.#timer);
      this.#timer = undefined;
    };
  }

  #caughtUp(subscription: Subscription): void {
    const { phase, cursor, head } = subscription.getState();
    if (this.#loaded || phase !== 'live' || !caughtUp(cursor, head)) return;
    this.#loaded = true;
    this.#changed();
  }

  #take(event: ChannelEvent): void {
    const id = (event.data as { match_id?: string } | null)?.match_id;
    if (id === undefined) return;
    const before = this.#rows.get(id);
    const next = after(before, event, ++this.#touched, this.#loaded ? performance.now() : 0);
    if (next === undefined) return;
    if (before) this.#counts[before.data.status]--;
    if (next) {
      this.#counts[next.data.status]++;
      this.#rows.set(id, next);
    } else this.#rows.delete(id);
    this.#changed();
  }

  #reset({ reason }: Reset): void {
    const fresh = this.#rows.size === 0;
    this.#clear();
    // Where nothing was shown, only a trimmed channel means that there was more.
    this.#incomplete = reason === 'trimmed' || !fresh;
    this.#changed();
  }

  #clear(): void {
    this.#rows = new Map();
    this.#counts = { ...NO_COUNTS };
    this.#loaded = this.#incomplete = false;
    this.#refused = null;
  }

  #changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const [rows, loaded, incomplete, refused] = [this.#rows, this.#loaded, this.#incomplete, this.#refused];
      const counts = { ...this.#counts };
      this.#view = { rows, counts, version: ++this.#version, touched: this.#touched, loaded, incomplete, refused };
      for (const listener of this.#listeners) listener();
    }, SHOW_MS);
  }
}
