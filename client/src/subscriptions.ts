import type { Channel } from './channel.js';
import { channel, earliest } from './channel.js';
import type { Conn } from './conn.js';
import type { ChannelRequest } from './frame.js';
import type { Listener } from './listener.js';

/** What the channels of a client want of its connection. */
export interface Subscriptions {
  readonly channels: ReadonlyMap<string, Channel>;
  add(name: string, l: Listener): Channel;
  remove(ch: Channel, l: Listener): void;
  /** Follows the members of a channel, too; returns its undo. */
  watch(name: string): () => void;
  /** Asks for all channels on a connection that is being made, or for those that it does not know yet. */
  askAll(c: Conn): void;
  /** Asks for a channel from its position. */
  ask(ch: Channel): void;
  /** Lets nothing count that is on its way, and asks again after a while. */
  again(ch: Channel, waitMs?: number): void;
  /** Lets a channel go that nobody needs any more. */
  release(name: string): void;
  /** No frame of this connection counts any more. */
  lost(c: Conn): void;
  /** Whether channels are still fed by a connection. */
  owes(c: Conn): boolean;
  /** Refused channels may be asked for again. */
  forgive(): void;
  close(): void;
}

/** What the subscriptions need to know of the rest. */
export interface SubscriptionsNeeds {
  /** The current connection and the one being made, as far as there are such. */
  conns(): Conn[];
  readonly lingerMs: number;
  id(): number;
  /** How long to wait before the next try after so many failures. */
  backoff(failures: number): number;
  /** The session is present there: to unsubscribe would end that. */
  present(channel: string): boolean;
  /** Channels were asked for. */
  asked(c: Conn): void;
  changed(ch: Channel): void;
  dropped(channel: string): void;
}

/** A subscription that lived this long was a good one. */
const STABLE_MS = 5_000;

export function subscriptions(n: SubscriptionsNeeds): Subscriptions {
  const channels = new Map<string, Channel>();
  let due: Set<Channel> | undefined; // asked for in this turn

  function get(name: string): Channel {
    let ch = channels.get(name);
    if (!ch) channels.set(name, (ch = channel(name)));
    clearTimeout(ch.linger);
    return ch;
  }

  function request(ch: Channel): ChannelRequest {
    const since = [...ch.listeners].flatMap((l) => (!l.pos && l.since) || []).sort()[0];
    const cursor = since === undefined ? earliest(ch)?.cursor : undefined;
    return { channel: ch.name, since, cursor, presence: ch.watchers > 0 || undefined };
  }

  function askOn(c: Conn, chs: Iterable<Channel>): void {
    const id = n.id();
    const requests: ChannelRequest[] = [];
    for (const ch of chs) {
      if (ch.refused || channels.get(ch.name) !== ch) continue;
      const r = request(ch);
      requests.push(r);
      ch.presence = !!r.presence;
      c.asks.set(ch.name, { id, sent: r.cursor === undefined ? undefined : earliest(ch) });
    }
    if (requests.length === 0) return;
    c.link.subscribe(id, requests);
    n.asked(c);
  }

  /** Asks once for all that is asked for in one turn. */
  function ask(ch: Channel): void {
    clearTimeout(ch.retry);
    if (due) return void due.add(ch);
    due = new Set([ch]);
    queueMicrotask(() => {
      const all = due ?? [];
      due = undefined;
      for (const c of n.conns()) askOn(c, all);
    });
  }

  function still(ch: Channel): void {
    clearTimeout(ch.linger);
    clearTimeout(ch.retry);
  }

  function drop(ch: Channel): void {
    if (channels.get(ch.name) !== ch || ch.listeners.size + ch.watchers > 0 || n.present(ch.name)) return;
    still(ch);
    channels.delete(ch.name);
    n.dropped(ch.name);
    for (const c of n.conns()) if (c.asks.delete(ch.name) || ch.owner === c) c.link.unsubscribe([ch.name]);
  }

  const pending = (ch: Channel) => n.conns().some((c) => c.asks.has(ch.name));

  function maybeLinger(ch: Channel): void {
    if (ch.listeners.size + ch.watchers === 0) ch.linger = setTimeout(() => drop(ch), n.lingerMs);
  }

  return {
    channels,
    add(name, l) {
      const ch = get(name);
      ch.listeners.add(l);
      const now = !l.pos && l.since === undefined;
      if (now) l.pos = ch.at;
      // It joins what is followed already when it begins there or later.
      const joins = pending(ch) ? now && !l.pos : ch.owner && l.pos && ch.at && ch.at.offset <= l.pos.offset;
      if (ch.refused || !joins) {
        ch.refused = false;
        ask(ch);
      }
      return ch;
    },
    remove(ch, l) {
      ch.listeners.delete(l);
      maybeLinger(ch);
    },
    watch(name) {
      const ch = get(name);
      ch.watchers++;
      if (ch.refused || !ch.presence || !(ch.owner || pending(ch))) {
        ch.refused = false;
        ask(ch);
      }
      return () => {
        ch.watchers--;
        maybeLinger(ch);
      };
    },
    askAll(c) {
      askOn(c, [...channels.values()].filter((ch) => !c.asks.has(ch.name) && ch.owner !== c));
    },
    ask,
    again(ch, waitMs = 0) {
      ch.owner = null;
      n.conns()[0]?.asks.delete(ch.name);
      n.changed(ch);
      if (ch.began && Date.now() - ch.began >= STABLE_MS) ch.failures = 0;
      ch.began = 0;
      clearTimeout(ch.retry);
      ch.retry = setTimeout(() => ask(ch), Math.max(waitMs, ch.failures > 0 ? n.backoff(ch.failures) : 0));
      ch.failures++;
    },
    release(name) {
      const ch = channels.get(name);
      if (ch) drop(ch);
    },
    lost(c) {
      for (const ch of channels.values()) {
        if (ch.owner !== c) continue;
        ch.owner = null;
        n.changed(ch);
      }
    },
    owes: (c) => [...channels.values()].some((ch) => ch.owner === c),
    forgive() {
      for (const ch of channels.values()) {
        if (!ch.refused) continue;
        ch.refused = false;
        ask(ch);
      }
    },
    close: () => channels.forEach(still),
  };
}
