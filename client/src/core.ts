import { jitter } from './backoff.js';
import type { Channel } from './channel.js';
import { earliest } from './channel.js';
import type { Conn } from './conn.js';
import type { Connection } from './connection.js';
import { connection } from './connection.js';
import { deliver } from './deliver.js';
import { dispatcher } from './dispatcher.js';
import { refusal, TallywireError } from './error.js';
import type { ServerFrame } from './frame.js';
import { stateOf } from './listener.js';
import { kept } from './persist.js';
import type { Later } from './later.js';
import type { Settings } from './settings.js';
import { idle } from './status.js';
import type { Listeners } from './store.js';
import { listeners } from './store.js';
import type { Subscriptions } from './subscriptions.js';
import { subscriptions } from './subscriptions.js';
import type { ConnectionStatus } from './types/index.js';

/** The parts of a client, put together. */
export interface Core {
  readonly connection: Connection;
  readonly subs: Subscriptions;
  readonly onStatus: Listeners;
  readonly onError: Listeners<[TallywireError]>;
  getStatus(): ConnectionStatus;
  /** Connects, if it has not begun. */
  start(): void;
  close(): Promise<void>;
  /** Loads what is not needed to connect and to deliver. */
  more(): Promise<Later>;
  /** The same, if it is there. */
  loaded(): Later | undefined;
  /** A cursor from before a reload. */
  saved(channel: string): string | undefined;
  report(error: TallywireError): void;
  /** Reports what a listener threw. */
  thrown(cause: unknown, channel?: string): void;
}

/** How long until it is tried again to load a part. */
const RELOAD_MS = 5_000;

export function assemble(s: Settings): Core {
  const onError = listeners<[TallywireError]>((cause) => {
    // An error listener that throws has nobody else to tell.
    setTimeout(() => {
      throw cause;
    });
  });
  const report = onError.call;
  const thrown = (cause: unknown, channel?: string) =>
    report(new TallywireError('handler_failed', `handler failed: ${String(cause)}`, { channel, cause }));
  const onStatus = listeners(thrown);
  let rest: Later | undefined;
  let loading: Promise<Later> | undefined;
  const dirty = new Set<Channel>();
  let giveUp: (() => void) | undefined;
  let ids = 0;
  let status = idle(s.session);

  const id = () => ++ids;
  const wait = (failures: number) => s.minMs / 2 + jitter(s.minMs, s.maxMs, failures - 1);
  const current = () => conn.current();
  const getStatus = () => status;

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
      if (ch.listeners.size > 0) kept(s, ch.name, earliest(ch)?.cursor);
      rest?.presence.changed(ch);
      for (const l of ch.listeners) {
        const before = l.state;
        if (stateOf(l, live, ch.head) !== before) l.changed.call();
      }
    }
  }

  const needs = { current, id, backoff: wait };
  const subs: Subscriptions = subscriptions({
    ...needs,
    conns: () => conn.both(),
    lingerMs: s.lingerMs,
    present: (channel) => rest?.presence.stays.has(channel) ?? false,
    asked: (c) => rest?.asked(c),
    changed,
    dropped: (channel) => rest?.presence.dropped(channel),
  });
  const channels = deliver({ subs, changed, report, thrown, members: (f) => rest?.presence.frame(f) });

  /** Loads the rest; what fails is tried again. */
  function more(): Promise<Later> {
    return (loading ??= load());
  }

  async function load(): Promise<Later> {
    for (;;) {
      try {
        const { later } = await import('./later.js');
        rest = later({
          ...needs,
          token: s.token,
          limit: s.queue,
          report,
          thrown,
          getStatus,
          onStatus,
          connection: conn,
          subs,
        });
        const c = current();
        if (c) rest.attached(c);
        if (status.status === 'closed') rest.close();
        return rest;
      } catch (cause) {
        report(new TallywireError('network', 'cannot load a part of the client', { retry: true, cause }));
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, RELOAD_MS);
          giveUp = () => (clearTimeout(timer), resolve());
        });
        if (status.status === 'closed') throw new TallywireError('closed', 'the client is closed');
      }
    }
  }

  const queue = dispatcher<{ c: Conn; f: ServerFrame }>(
    ({ c, f }) => {
      if (!channels.frame(c, f) && f.type === 'error') report(refusal(f));
    },
    (idle) => {
      show();
      if (!idle) return;
      conn.settled();
      for (const name of behind) {
        const ch = subs.channels.get(name);
        if (!ch) continue;
        ch.owner = null; // until the answer: what comes before it does not follow on what was taken
        subs.ask(ch);
      }
      behind.clear();
    },
  );
  // Channels whose frames are dropped, because there was no room, until all that waits is done.
  const behind = new Set<string>();

  function frames(c: Conn, all: readonly ServerFrame[]): void {
    const told = all.filter((f) => !answered(c, f) && !behind.has(f.channel ?? ''));
    if (told.length === 0 || queue.push(told.map((f) => ({ c, f })))) return;
    for (const { channel } of told) if (channel !== undefined) behind.add(channel);
  }

  function answered(c: Conn, f: ServerFrame): boolean {
    if (f.type === 'refreshed') {
      c.expires = f.expires;
      if (c === current()) rest?.expires(c);
      subs.forgive();
    }
    return !!rest?.answer(f);
  }

  const conn: Connection = connection(s, setStatus, {
    opening: subs.askAll,
    attached(c) {
      rest?.attached(c);
      subs.forgive();
      subs.askAll(c);
    },
    frames,
    lost(c) {
      subs.lost(c);
      if (!current()) rest?.lost();
    },
    owes: subs.owes,
  });

  function start(): void {
    conn.start();
    more().catch(() => {}); // who needs it is told
  }

  return {
    connection: conn,
    subs,
    more,
    loaded: () => rest,
    report,
    onStatus,
    onError,
    thrown,
    getStatus,
    start,
    saved: (channel) => kept(s, channel),
    async close() {
      conn.close();
      queue.clear();
      subs.close();
      giveUp?.();
      rest?.close();
    },
  };
}
