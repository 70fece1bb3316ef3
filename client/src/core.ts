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
import { persist } from './persist.js';
import type { Presence } from './presence/index.js';
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
  readonly onStatus: Listeners;
  readonly onError: Listeners<[TallywireError]>;
  getStatus(): ConnectionStatus;
  /** Connects, if it has not begun. */
  start(): void;
  connect(): Promise<void>;
  close(): Promise<void>;
  /** Loads what presence takes, and connects. */
  presence(): Promise<Presence>;
  /** The same, if that has begun. */
  loaded(): Promise<Presence> | undefined;
  members(channel: string): Members | undefined;
  /** A cursor from before a reload. */
  saved(channel: string): string | undefined;
  report(error: TallywireError): void;
  /** Reports what a listener threw. */
  thrown(cause: unknown): void;
}

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
  let together: Presence | undefined;
  let loading: Promise<Presence> | undefined;
  const cursors = persist(s.storage, s.shareKey);
  const dirty = new Set<Channel>();
  let ids = 0;
  let closed = false;
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
      together?.changed(ch);
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
    present: (channel) => together?.stays.has(channel) ?? false,
    changed,
    dropped: (channel) => together?.dropped(channel),
  });
  const publishes = calls({ current, limit: s.queue, id, backoff: wait, report });
  const channels = deliver({ subs, changed, report, members: (f) => together?.frame(f) });

  function presence(): Promise<Presence> {
    conn.start();
    loading ??= import('./presence/index.js').then(
      (m) => {
        together ??= m.presence({
          current,
          id,
          backoff: wait,
          left: (channel) => subs.release(channel),
          watch: (channel) => subs.watch(channel),
          live: (channel) => !!subs.channels.get(channel)?.owner,
          thrown,
        });
        if (closed) together.stays.close();
        return together;
      },
      (cause: unknown) => {
        loading = undefined;
        throw new TallywireError('network', 'presence cannot be loaded', { retry: true, cause });
      },
    );
    return loading;
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
    return publishes.answer(f) || (together?.answer(f) ?? false);
  }

  const conn: Connection = connection(s, setStatus, {
    opening: (c) => subs.askAll(c),
    attached(c) {
      together?.stays.attached(c);
      subs.forgive();
      subs.askAll(c);
      publishes.attached(c);
    },
    frames,
    lost(c) {
      subs.lost(c);
      if (!current()) together?.stays.lost();
    },
    owes: (c) => subs.owes(c),
    id,
    report,
  });

  return {
    connection: conn,
    subs,
    calls: publishes,
    presence,
    loaded: () => loading,
    report,
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
    members: (channel) => together?.members(channel),
    async close() {
      conn.close();
      queue.clear();
      subs.close();
      publishes.close();
      closed = true;
      together?.stays.close();
    },
  };
}
