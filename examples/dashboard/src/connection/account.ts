import type { ChannelEvent, Client, EventHandler, HandlerMap, Reset, SubscribeOptions } from '@tallywire/client';

/** What a channel has brought to this page, as that of its subscribers saw it that has had the most; who has gone counts only where nobody is left. */
export interface ChannelAccount {
  received: number;
  /** Left out on purpose by the gateway: conflated. */
  skipped: number;
  /** Were here before. */
  duplicates: number;
  /** Came after a later one. */
  outOfOrder: number;
  /** Are missing although no reset said so. */
  gaps: number;
  resets: number;
  firstCursor: string | null;
  lastCursor: string | null;
}

/** The page's own count of what it gets. It trusts nobody: it looks at cursors only. */
export interface DeliveryAccount {
  readonly channels: Readonly<Record<string, Readonly<ChannelAccount>>>;
  /** Events that handlers were given; of an event with several subscribers, once. */
  readonly received: number;
  readonly skipped: number;
  readonly duplicates: number;
  readonly outOfOrder: number;
  readonly gaps: number;
  readonly resets: number;
  /** Connections that were made after the first one. */
  readonly reconnects: number;
  readonly transports: readonly string[];
  /** Milliseconds from the loss of the last connection to the next one that was live. */
  readonly lastOutageMs: number | null;
}

const offset = (cursor: string | undefined): number => Number.parseInt(cursor ?? '', 10);

/** The account of one subscription. */
class Subscriber implements ChannelAccount {
  gone = false;
  received = 0;
  skipped = 0;
  duplicates = 0;
  outOfOrder = 0;
  gaps = 0;
  resets = 0;
  firstCursor: string | null = null;
  lastCursor: string | null = null;
  #last = Number.NaN; // offset

  take(event: ChannelEvent): void {
    const at = offset(event.cursor);
    this.received++;
    this.skipped += event.skipped;
    if (at === this.#last) this.duplicates++;
    else if (at < this.#last) this.outOfOrder++;
    else if (at - event.skipped - 1 > this.#last) this.gaps++;
    this.#last = Number.isNaN(this.#last) ? at : Math.max(this.#last, at);
    this.firstCursor ??= event.cursor;
    this.lastCursor = event.cursor;
  }

  reset({ cursor }: Reset): void {
    // Where nothing was shown yet, nothing shown is wrong: it only says what is no longer retained.
    if (this.received > 0) this.resets++;
    this.#last = cursor === undefined ? Number.NaN : offset(cursor);
  }
}

/** Counts everything that goes through a client. */
export class Account {
  readonly #subscribers = new Map<string, Subscriber[]>();
  #reconnects = 0;
  #connections = 0;
  #live = false;
  #lostAt: number | null = null;
  #lastOutageMs: number | null = null;
  readonly #transports: string[] = [];
  #events = 0;

  /** Events so far that were not in the channel before it was subscribed to, counted once for each handler; for rates. */
  get events(): number {
    return this.#events;
  }

  /** The same client, whose subscriptions are counted. */
  watch<M>(client: Client<M>): Client<M> {
    client.onStatus(() => {
      const { status, transport } = client.getStatus();
      const live = status === 'live' || status === 'degraded';
      if (live && !this.#live) {
        if (this.#connections++ > 0) this.#reconnects++;
        if (this.#lostAt !== null) this.#lastOutageMs = Date.now() - this.#lostAt;
        this.#lostAt = null;
      }
      if (!live && this.#live) this.#lostAt = Date.now();
      this.#live = live;
      if (live && transport !== null && this.#transports.at(-1) !== transport) this.#transports.push(transport);
    });
    return {
      ...client,
      subscribe: (channel: string, handler: EventHandler | HandlerMap<M>, options?: SubscribeOptions) => {
        const subscriber = new Subscriber();
        const list = this.#subscribers.get(channel) ?? [];
        this.#subscribers.set(channel, list);
        list.push(subscriber);
        const by = handler as Readonly<Record<string, EventHandler | undefined>>;
        let past: string | undefined; // the head when it was subscribed to
        const take = (event: ChannelEvent): unknown => {
          past ??= subscription.getState().head;
          if (offset(event.cursor) > offset(past)) this.#events++;
          subscriber.take(event);
          if (typeof handler === 'function') return handler(event);
          return (Object.hasOwn(by, event.type) ? by[event.type] : by['*'])?.(event);
        };
        const reset = (r: Reset): void => {
          subscriber.reset(r);
          past = r.head;
          options?.onReset?.(r);
        };
        const subscription = client.subscribe(channel, take, { ...options, onReset: reset });
        const close = (): void => {
          subscriber.gone = true;
          subscription.close();
        };
        return { ...subscription, close };
      },
    };
  }

  /** Everything, as it is now. */
  read(): DeliveryAccount {
    const channels: Record<string, ChannelAccount> = {};
    const sum = { received: 0, skipped: 0, duplicates: 0, outOfOrder: 0, gaps: 0, resets: 0 };
    for (const [channel, list] of this.#subscribers) {
      const most = (a: Subscriber, b: Subscriber): Subscriber => (b.received > a.received ? b : a);
      const here = list.filter((s) => !s.gone);
      const best = (here.length > 0 ? here : list).reduce(most);
      const worst = (key: 'duplicates' | 'outOfOrder' | 'gaps' | 'resets'): number => Math.max(...list.map((s) => s[key]));
      const { received, skipped, firstCursor, lastCursor } = best;
      const of = { duplicates: worst('duplicates'), outOfOrder: worst('outOfOrder'), gaps: worst('gaps'), resets: worst('resets') };
      channels[channel] = { received, skipped, ...of, firstCursor, lastCursor };
      const all = list.reduce(most); // lest the sums shrink when somebody comes anew
      sum.received += all.received;
      sum.skipped += all.skipped;
      for (const key of ['duplicates', 'outOfOrder', 'gaps', 'resets'] as const) sum[key] += of[key];
    }
    return { channels, ...sum, reconnects: this.#reconnects, transports: [...this.#transports], lastOutageMs: this.#lastOutageMs };
  }
}
