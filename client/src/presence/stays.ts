import type { Conn } from '../conn.js';
import { refusal, TallywireError } from '../error.js';
import type { ServerFrame } from '../frame.js';

/** The session's presence in channels. */
export interface Stays {
  /** Makes a part of the program present, with a status or, undefined, none of its own. */
  enter(channel: string, who: object, status: unknown): Promise<void>;
  leave(channel: string, who: object): Promise<void>;
  has(channel: string): boolean;
  /** Takes an answer; false where the frame is none to a change of presence. */
  answer(f: ServerFrame): boolean;
  /** Enters again on a new connection. */
  attached(): void;
  /** Says everywhere soon that the session is present: it may have come to another gateway. */
  repeat(): void;
  /** The gateway says that the user is there, or that it is not, or not connected: then the session says soon that it is. */
  seen(channel: string, here: boolean): void;
  /** The token does not allow it any more. */
  refused(f: ServerFrame): void;
  lost(): void;
  close(): void;
}

export interface StaysNeeds {
  current(): Conn | null;
  id(): number;
  backoff(failures: number): number;
  /** The session is not present there any more. */
  left(channel: string): void;
}

interface Waiter {
  readonly told: number;
  resolve(): void;
  reject(e: TallywireError): void;
}

/** Presence in one channel. At most one frame about it is under way; what comes meanwhile is conflated. */
interface Stay {
  readonly channel: string;
  /** Who wants to be present, the one with the newest status last. */
  readonly who: Map<object, unknown>;
  told: number;
  waiters: Waiter[];
  asked: { id: number; told: number; leave: boolean } | undefined;
  entered: boolean;
  hadStatus: boolean;
  failures: number;
  /** When it was told last. */
  at: number;
  retry: ReturnType<typeof setTimeout> | undefined;
  repeat: ReturnType<typeof setTimeout> | undefined;
}

/** Over HTTP a gateway forgets a session that does not say for 60 seconds that it is present. */
const BEAT_MS = 25_000;
/** What is repeated is repeated this often at most. */
const REPEAT_MS = 1_000;

export function stays(n: StaysNeeds): Stays {
  const all = new Map<string, Stay>();
  let beat: ReturnType<typeof setTimeout> | undefined;
  let closed = false;

  function change(s: Stay): Promise<void> {
    s.told++;
    const { told } = s;
    return new Promise((resolve, reject) => {
      s.waiters.push({ told, resolve, reject });
      queueMicrotask(() => tell(s));
    });
  }

  function settle(s: Stay, told: number, error?: TallywireError): void {
    const done = s.waiters.filter((w) => w.told <= told);
    s.waiters = s.waiters.filter((w) => w.told > told);
    for (const w of done) {
      if (error) w.reject(error);
      else w.resolve();
    }
  }

  function forget(s: Stay, error?: TallywireError): void {
    clearTimeout(s.retry);
    calm(s);
    if (all.get(s.channel) === s) {
      all.delete(s.channel);
      n.left(s.channel);
    }
    settle(s, s.told, error);
  }

  /** Tells the gateway, once nothing is under way. */
  function tell(s: Stay): void {
    if (all.get(s.channel) !== s || s.asked || s.retry !== undefined) return;
    const leave = s.who.size === 0;
    const c = n.current();
    // Without a connection the grace of the last one runs.
    if (leave && (!c || !s.entered)) return forget(s);
    if (!c) return;
    calm(s);
    s.at = Date.now();
    const id = n.id();
    s.asked = { id, told: s.told, leave };
    let status = [...s.who.values()].filter((v) => v !== undefined).pop();
    if (status === undefined && s.hadStatus) status = null;
    if (leave) c.link.send([{ type: 'presence', id, channel: s.channel, leave }]);
    else {
      s.entered = true;
      s.hadStatus = status !== undefined && status !== null;
      c.link.send([{ type: 'presence', id, channel: s.channel, status }]);
    }
  }

  function later(s: Stay, ms: number): void {
    clearTimeout(s.retry);
    s.retry = setTimeout(() => {
      s.retry = undefined;
      tell(s);
    }, ms);
  }

  function calm(s: Stay): void {
    clearTimeout(s.repeat);
    s.repeat = undefined;
  }

  function repeat(s: Stay): void {
    if (s.asked || s.who.size === 0) return; // it is being told, or about to end
    s.repeat ??= setTimeout(() => {
      s.repeat = undefined;
      tell(s);
    }, Math.max(s.at + REPEAT_MS - Date.now(), 0));
  }

  function keepAlive(): void {
    clearTimeout(beat);
    if (closed || (n.current()?.link.name ?? 'websocket') === 'websocket') return;
    beat = setTimeout(() => {
      for (const s of all.values()) tell(s);
      keepAlive();
    }, BEAT_MS);
  }

  return {
    enter(channel, who, status) {
      if (closed) return Promise.reject(new TallywireError('closed', 'the client is closed', { channel }));
      let s = all.get(channel);
      if (!s) {
        s = {
          channel,
          who: new Map(),
          told: 0,
          waiters: [],
          asked: undefined,
          entered: false,
          hadStatus: false,
          failures: 0,
          at: 0,
          retry: undefined,
          repeat: undefined,
        };
        all.set(channel, s);
      }
      const before = s.who.get(who);
      s.who.delete(who);
      s.who.set(who, status === undefined ? before : status);
      return change(s);
    },
    leave(channel, who) {
      const s = all.get(channel);
      return s?.who.delete(who) ? change(s) : Promise.resolve();
    },
    has: (channel) => all.has(channel),
    answer(f) {
      if (f.type !== 'present' && f.type !== 'error') return false;
      const s = [...all.values()].find((x) => x.asked && x.asked.id === f.id);
      if (!s?.asked) return f.type === 'present';
      const { told, leave } = s.asked;
      s.asked = undefined;
      const error = f.type === 'error' ? refusal(f) : undefined;
      if (!error || (leave && error.code === 'not_subscribed')) {
        s.failures = 0;
        if (leave) s.entered = false;
        if (leave && s.told === told) forget(s);
        else settle(s, told);
        if (s.told !== told) tell(s);
      } else if (error.retry || error.code === 'token_expired') later(s, n.backoff(++s.failures));
      else forget(s, error);
      return true;
    },
    attached() {
      for (const s of all.values()) {
        s.asked = undefined;
        clearTimeout(s.retry);
        s.retry = undefined;
        tell(s);
      }
      keepAlive();
    },
    repeat: () => all.forEach(repeat),
    seen(channel, here) {
      const s = all.get(channel);
      if (s) (here ? calm : repeat)(s);
    },
    refused(f) {
      const s = all.get(f.channel ?? '');
      if (s) forget(s, refusal(f));
    },
    lost() {
      for (const s of all.values()) {
        s.asked = undefined;
        if (s.who.size === 0) forget(s);
      }
    },
    close() {
      closed = true;
      clearTimeout(beat);
      for (const s of [...all.values()]) {
        forget(s, s.who.size > 0 ? new TallywireError('closed', 'the client was closed', { channel: s.channel }) : undefined);
      }
    },
  };
}
