import type { Conn } from './conn.js';
import { TallywireError } from './error.js';
import type { ServerFrame } from './frame.js';

/** How long an answer to a subscribe may take, at first and at most. */
const PATIENCE_MS = 12_000;
const MAX_PATIENCE_MS = 300_000;

/** Sees to it that what was subscribed is answered: asks again, and gives up a connection where that does not help. */
export interface Watchdog {
  /** Channels were asked for; what is said of a connection that is not the current one is ignored. */
  asked(c: Conn): void;
  /** Sees a frame with an id when it comes, which may be long before its turn. */
  answer(f: ServerFrame): void;
  stop(): void;
}

export interface WatchdogNeeds {
  current(): Conn | null;
  /** The gateway says that its store is away: answers may take as long as that. */
  degraded(): boolean;
  /** Asks for a channel again. */
  ask(channel: string): void;
  /** Gives up the current connection. */
  fail(error: TallywireError): void;
}

export function watchdog(n: WatchdogNeeds): Watchdog {
  // How often in a row a channel was not answered in time: the first time it is asked for again, the second time on another
  // connection, and so on, with more patience for each connection.
  const misses = new Map<string, number>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const patience = (name: string) => Math.min(PATIENCE_MS * 2 ** ((misses.get(name) ?? 0) >> 1), MAX_PATIENCE_MS);

  function asked(c: Conn): void {
    if (c !== n.current()) return;
    clearTimeout(timer);
    const now = Date.now();
    let due = Infinity;
    for (const [name, ask] of c.asks) {
      ask.since ??= now;
      if (!ask.heard) due = Math.min(due, ask.since + patience(name));
    }
    if (due < Infinity) timer = setTimeout(look, Math.max(due - now, 0));
    else misses.clear();
  }

  function look(): void {
    const c = n.current();
    if (!c) return;
    const now = Date.now();
    for (const name of misses.keys()) if (!c.asks.has(name)) misses.delete(name);
    for (const [name, ask] of c.asks) {
      if (ask.heard || now < (ask.since ?? now) + patience(name)) continue;
      ask.since = now;
      if (n.degraded()) continue;
      const before = misses.get(name) ?? 0;
      misses.set(name, before + 1);
      if (before % 2 === 1) {
        return n.fail(new TallywireError('timeout', 'a subscribe was not answered', { retry: true, channel: name }));
      }
      n.ask(name);
    }
    asked(c);
  }

  return {
    asked,
    answer(f) {
      for (const [name, ask] of n.current()?.asks ?? []) if (ask.id === f.id && (f.channel ?? name) === name) ask.heard = true;
    },
    stop: () => clearTimeout(timer),
  };
}
