import { backoff } from './backoff.js';
import type { Calls } from './calls.js';
import { calls } from './calls.js';
import type { Channel } from './channel.js';
import type { Conn } from './conn.js';
import type { Connection } from './connection.js';
import { connection } from './connection.js';
import { deliver } from './deliver.js';
import { dispatcher } from './dispatcher.js';
import { refusal, TallywireError } from './error.js';
import type { ServerFrame } from './frame.js';
import { stateOf } from './listener.js';
import type { Roster } from './members.js';
import { roster } from './members.js';
import { persist } from './persist.js';
import type { Stays } from './presence.js';
import { stays } from './presence.js';
import type { Settings } from './settings.js';
import type { Listeners } from './store.js';
import { listeners } from './store.js';
import type { Subscriptions } from './subscriptions.js';
import { subscriptions } from './subscriptions.js';
import type { ConnectionStatus, Members } from './types/index.js';

/** The parts of a client, put together. */
export interface Core {
  readonly connection: Connection;
  readonly subs: Subscriptions;
  readonly calls: Calls;
  readonly stays: Stays;
  readonly onStatus: Listeners;
  readonly onError: Listeners<[TallywireError]>;
  getStatus(): ConnectionStatus;
  /** Connects, if it has not begun. */
  start(): void;
  connect(): Promise<void>;
  close(): Promise<void>;
  /** The members of a channel as far as they are known. */
  members(channel: string): Members;
  /** The same for who follows them; it is kept while somebody does. */
  roster(channel: string): Roster;
  /** A cursor from before a reload. */
  saved(channel: string): string | undefined;
  /** Reports what a listener threw. */
  thrown(cause: unknown): void;
}

const NOBODY: Members = { known: false, count: 0, sessions: 0, members: [], stale: true, error: undefined };

export function assemble(s: Settings): Core {
  const onError = listeners<[TallywireError]>((cause) => {
    // An error listener that throws has nobody else to tell.
    setTimeout(() => {
      throw cause;
    });
  });
  const report = (error: TallywireError) => onError.call(error);
  const thrown = (cause: unknown) =>
    report(new TallywireError('handler_failed', `a listener failed: ${String(cause)}`, { cause }));
  const onStatus = listeners(thrown);
  const rosters = new Map<string, Roster>();
  const cursors = persist(s.storage, s.shareKey);
  const dirty = new Set<Channel>();
  let ids = 0;
  let status: ConnectionStatus = {
    status: 'idle',
    transport: null,
    latencyMs: null,
    lastError: null,
    retryAt: null,
    user: null,
    session: s.session,
    gateway: null,
  };

  const id = () => ++ids;
  const wait = (failures: number) => {
    const b = backoff(s.minMs * 2 ** Math.min(failures - 1, 20), s.maxMs);
    return s.minMs / 2 + b.next();
  };
  const current = () => conn.current();

  function setStatus(change: Partial<ConnectionStatus>): void {
    const all = Object.entries(change) as [keyof ConnectionStatus, unknown][];
    if (status.status === 'closed' || all.every(([key, value]) => status[key] === value)) return;
    status = { ...status, ...change };
    onStatus.call();
  }

  /** Something about a channel has changed: shown after the slice, or the turn, in which that happened. */
  function changed(ch: Channel): void {
    if (dirty.size === 0) queueMicrotask(show);
    dirty.add(ch);
  }

  function show(): void {
    const all = [...dirty];
    dirty.clear();
    for (const ch of all) {
      const live = ch.owner !== null;
      cursors.write(ch);
      rosters.get(ch.name)?.follow(live);
      for (const l of ch.listeners) {
        const before = l.state;
        if (stateOf(l, live, ch.head) !== before) l.changed.call();
      }
    }
  }

  const subs: Subscriptions = subscriptions({
    connection: () => conn,
    lingerMs: s.lingerMs,
    id,
    backoff: wait,
    present: (channel) => presence.has(channel),
    changed,
    dropped: (channel) => void rosters.delete(channel),
  });
  const publishes = calls({ current, limit: s.queue, id, backoff: wait, report });
  const presence = stays({ current, id, backoff: wait, left: (channel) => subs.release(channel) });
  const channels = deliver({ subs, changed, report, members: (ch, f) => membersFrame(ch.name, f) });

  function membersFrame(channel: string, f: ServerFrame): void {
    if (f.type === 'error' && f.code === 'forbidden') presence.refused(f);
    rosters.get(channel)?.frame(f);
  }

  const queue = dispatcher<{ c: Conn; f: ServerFrame }>(
    ({ c, f }) => {
      if (!channels.frame(c, f) && f.type === 'error') report(refusal(f));
    },
    (idle) => {
      show();
      if (!idle) return;
      conn.settled();
      for (const ch of behind) if (subs.channels.get(ch.name) === ch) subs.ask(ch);
      behind.clear();
    },
  );
  const behind = new Set<Channel>();

  function frames(c: Conn, all: readonly ServerFrame[]): void {
    const rest = all.filter((f) => !answered(f));
    if (rest.length === 0 || queue.push(rest.map((f) => ({ c, f })))) return;
    // There is no room: what is dropped is asked for again when there is.
    for (const f of rest) {
      const ch = subs.channels.get(f.channel ?? '');
      if (!ch || (ch.owner !== c && !c.asks.has(ch.name))) continue;
      ch.owner = null;
      c.asks.delete(ch.name);
      behind.add(ch);
    }
  }

  function answered(f: ServerFrame): boolean {
    if (f.type === 'refreshed') subs.forgive();
    if (/^(moving|degraded|refreshed|unsubscribed|pong)$/.test(f.type)) return true;
    if (f.id === undefined) return false;
    return publishes.answer(f) || presence.answer(f) || [...rosters.values()].some((r) => r.page(f));
  }

  const conn: Connection = connection(s, setStatus, {
    opening: (c) => subs.askAll(c),
    attached(c) {
      presence.attached(c);
      subs.forgive();
      subs.askAll(c);
      publishes.attached(c);
    },
    frames,
    lost(c) {
      subs.lost(c);
      if (!current()) presence.lost();
    },
    owes: (c) => subs.owes(c),
    id,
    report,
  });

  return {
    connection: conn,
    subs,
    calls: publishes,
    stays: presence,
    onStatus,
    onError,
    thrown,
    getStatus: () => status,
    start: () => conn.start(),
    saved: (channel) => cursors.read(channel),
    connect: () =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (status.status === 'closed') reject(new TallywireError('closed', 'the client is closed'));
          else if (conn.current()) resolve();
          else return;
          undo();
        };
        const undo = onStatus.add(look);
        conn.start();
        look();
      }),
    async close() {
      conn.close();
      queue.clear();
      subs.close();
      publishes.close();
      presence.close();
    },
    members: (channel) => rosters.get(channel)?.snapshot() ?? NOBODY,
    roster(channel) {
      let r = rosters.get(channel);
      if (!r) {
        r = roster(channel, { id, report: thrown, send: (f) => current()?.link.send([f]) });
        rosters.set(channel, r);
      }
      return r;
    },
  };
}
