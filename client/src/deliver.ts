import type { Channel } from './channel.js';
import { concerned, judgeFor, judgeOf } from './channel.js';
import type { Conn } from './conn.js';
import type { Position } from './cursor.js';
import { position } from './cursor.js';
import { refusal, TallywireError } from './error.js';
import { eventOf, signalOf } from './event.js';
import type { ServerFrame } from './frame.js';
import type { Listener } from './listener.js';
import type { Subscriptions } from './subscriptions.js';
import type { Reset } from './types/index.js';

/** Takes the frames of channels, in order, and runs handlers. */
export interface Deliver {
  /** False where the frame is none of a channel's. */
  frame(c: Conn, f: ServerFrame): boolean;
}

/** What delivery needs to know of the rest. */
export interface DeliverNeeds {
  readonly subs: Subscriptions;
  /** A channel's listeners have something new to show. */
  changed(ch: Channel): void;
  report(error: TallywireError): void;
  /** A handler threw. */
  thrown(cause: unknown, channel: string): void;
  /** The connection says who the members are, or what changes about them. */
  members(f: ServerFrame): void;
}

export function deliver(n: DeliverNeeds): Deliver {
  /** Runs a handler; what it throws is reported and stops nothing. */
  function run(ch: Channel, l: Listener, fn: () => unknown): void {
    if (l.closed) return;
    const failed = (cause: unknown) => n.thrown(cause, ch.name);
    try {
      const result = fn();
      if (result instanceof Promise) result.catch(failed);
    } catch (cause) {
      failed(cause);
    }
  }

  function violated(ch: Channel, f: ServerFrame): void {
    const what = `${f.type} ${f.cursor} (skipped ${f.skipped ?? 0}) does not follow ${ch.at?.cursor}`;
    n.report(new TallywireError('violation', what, { channel: ch.name, retry: true }));
    n.subs.again(ch);
  }

  function subscribed(c: Conn, ch: Channel, f: ServerFrame): void {
    const ask = c.asks.get(ch.name);
    if (!ask || ask.id !== f.id) return;
    c.asks.delete(ch.name);
    const at = position(f.cursor);
    const head = position(f.head) ?? at;
    ch.owed = undefined;
    if (!at) return violated(ch, f);
    ch.head = head;
    if (!ask.sent) ch.at = at;
    else if (!f.resumed) ch.owed = ask.sent;
    else if (at.cursor === ask.sent.cursor || (ask.sent.cursor === '0' && at.offset === 1)) ch.at = at;
    else return violated(ch, f);
    ch.owner = c;
    ch.began = Date.now();
    for (const l of ch.listeners) {
      l.error = undefined;
      // Who wants to begin now begins at the head, where others asked for what was before.
      l.pos ??= ask.sent ? head : at;
      if (ask.sent?.cursor === '0' && l.pos?.cursor === '0' && f.resumed) l.pos = at;
    }
    n.changed(ch);
    // A time was asked for, and others are not that far yet.
    if (!ask.sent && [...ch.listeners].some((l) => l.pos && l.pos.offset < at.offset)) n.subs.ask(ch);
  }

  /** An event, or a skip. */
  function advance(c: Conn, ch: Channel, f: ServerFrame): void {
    const at = position(f.cursor);
    const n1 = (f.skipped ?? 0) + (f.type === 'event' ? 1 : 0);
    const verdict = at && judgeOf(ch, at, n1);
    if (verdict === 'duplicate') return;
    const all = [...ch.listeners];
    const last = ch.at;
    if (!at || !last || verdict === 'violation') return violated(ch, f);
    ch.at = at;
    for (const l of all) {
      const own = judgeFor(l, at);
      if (own === 'duplicate') continue;
      // The gateway goes on from another listener's position. This one's has no place in that log.
      if (own === 'violation') tell(ch, l, 'forked', last, ch.head);
      if (l.pos && l.pos.offset < last.offset) {
        // It needs what was before: that has been asked for, or is now.
        if (!c.asks.has(ch.name)) n.subs.ask(ch);
        continue;
      }
      const skipped = l.skipped + at.offset - (l.pos?.offset ?? 0);
      if (f.type === 'event') {
        l.skipped = 0;
        run(ch, l, () => l.onEvent(eventOf(f, at, skipped - 1)));
      } else l.skipped = skipped;
      l.pos = at;
    }
    n.changed(ch);
  }

  /** Tells a listener that events may be missing; it goes on after `at`. */
  function tell(ch: Channel, l: Listener, reason: string, at: Position | undefined, head: Position | undefined): void {
    const r: Reset = { channel: ch.name, reason, cursor: at?.cursor, head: head?.cursor };
    l.skipped = 0;
    if (at) l.resetting = head;
    run(ch, l, () => l.options.onReset?.(r));
    if (at) l.pos = at;
  }

  function reset(ch: Channel, f: ServerFrame): void {
    const forbidden = f.reason === 'forbidden';
    const at = position(f.cursor);
    if (!at && !forbidden) return violated(ch, f);
    const reason = f.reason ?? '';
    const told = [...ch.listeners].filter((l) => forbidden || (at && concerned(ch, l, reason, at)));
    const head = position(f.head) ?? at;
    ch.owed = undefined;
    if (forbidden) {
      ch.owner = null;
      ch.refused = true;
    } else {
      ch.at = at;
      ch.head = head;
    }
    for (const l of told) {
      if (forbidden) l.error = new TallywireError('forbidden', 'no longer allowed', { channel: ch.name });
      tell(ch, l, reason, forbidden ? undefined : at, head);
    }
    n.changed(ch);
  }

  /** An error about a channel: of its request, or of the subscription. */
  function failed(c: Conn, ch: Channel, f: ServerFrame): void {
    if (f.path?.startsWith('/presence') && f.id === undefined) return n.members(f);
    const ask = c.asks.get(ch.name);
    if (f.id === undefined ? ch.owner !== c : !ask || ask.id !== f.id) return;
    const error = refusal(f);
    const retry = error.retry || error.code === 'token_expired';
    if (retry) n.subs.again(ch, 250);
    else {
      c.asks.delete(ch.name);
      ch.owner = null;
      ch.refused = true;
    }
    let heard = ch.listeners.size > 0;
    for (const l of ch.listeners) {
      if (!retry) l.error = error;
      heard &&= !!l.options.onError;
      run(ch, l, () => l.options.onError?.(error));
    }
    if (!heard) n.report(error);
    if (ch.watchers > 0 && !retry) n.members(f);
    n.changed(ch);
  }

  return {
    frame(c, f) {
      if (f.type === 'error' && f.channel === undefined && f.id !== undefined) {
        // A request that was refused as a whole.
        const asked = [...c.asks].filter(([, ask]) => ask.id === f.id);
        for (const [name] of asked) this.frame(c, { ...f, channel: name });
        return asked.length > 0;
      }
      const ch = n.subs.channels.get(f.channel ?? '');
      // Who is present is told of the members whether or not the channel is subscribed.
      if (/^members?$/.test(f.type)) n.members(f);
      else if (!ch) return f.channel !== undefined;
      else if (f.type === 'subscribed') subscribed(c, ch, f);
      else if (f.type === 'error') failed(c, ch, f);
      else if (ch.owner !== c) return true;
      else if (f.type === 'event' || f.type === 'skip') advance(c, ch, f);
      else if (f.type === 'reset') reset(ch, f);
      else if (f.type === 'signal') for (const l of ch.listeners) run(ch, l, () => l.options.onSignal?.(signalOf(f)));
      return true;
    },
  };
}
