import { TallywireError } from './error.js';
import type { ChannelRequest, ClientFrame, ServerFrame } from './frame.js';
import { guest, type Guest } from './guest.js';
import { randomName } from './random.js';
import type { Link, LinkHandler } from './transport/link.js';
import type { Client, TransportName } from './types/index.js';

/** What tabs say to each other. All hear everything; `to` says whom it concerns. */
export type TabMessage =
  | { readonly to: 'leader'; readonly from: string; readonly ask: Ask }
  | { readonly to: string; readonly from: string; readonly frames: readonly ServerFrame[] };

/** What a tab wants of the one that has the connection. */
export type Ask =
  | { readonly do: 'connect' | 'close' }
  | { readonly do: 'subscribe'; readonly id: number; readonly channels: readonly ChannelRequest[] }
  | { readonly do: 'unsubscribe'; readonly channels: readonly string[] }
  | { readonly do: 'send'; readonly frames: readonly ClientFrame[] };

/** One of the tabs that share a connection. */
export interface Tabs {
  /** Whether this tab is to open the connection. Decided at the first call; it changes when the leader goes. */
  leads(): Promise<boolean>;
  /** Opens a link to the tab that leads. */
  open(on: LinkHandler): Link;
  close(): void;
}

const PING_MS = 15_000;
/** A tab that leads and says nothing for this long is frozen: its place is taken. */
const PATIENCE_MS = 10_000;
/** To all. */
const ALL = '*';

/**
 * Elects one of the tabs by a lock that ends with its holder, and carries frames between it and the others.
 * To these it is the gateway: each keeps its own cursors, so that nothing is lost when the leader goes.
 *
 * @param wake is called when it is worth trying to connect at once
 */
export function tabs(key: string, timeoutMs: number, client: () => Client<Record<string, unknown>>, wake: () => void): Tabs {
  const { locks } = navigator;
  const name = `tallywire:${key}`;
  const me = randomName();
  const channel = new BroadcastChannel(name);
  const guests = new Map<string, Guest>();
  const ended = new AbortController();
  let leader: Promise<boolean> | undefined;
  let leading: (() => void) | undefined; // gives the lock back
  let end: ((error: TallywireError) => void) | undefined; // of the link to the leader
  let take: ((frames: readonly ServerFrame[]) => void) | undefined;
  let follows: string | undefined; // the tab that has served that link
  let undo: (() => void) | undefined;
  let announced = false;

  // With a time to stay away, even none, an error is not taken for one of a transport.
  const changed = (what: string) => new TallywireError('network', what, { retry: true, retryAfterMs: 0 });
  const say = (m: TabMessage) => channel.postMessage(m);
  // Others learn by it that this tab has gone, however it goes.
  void locks.request(`${name}:${me}`, { signal: ended.signal }, () => held()).catch(() => {});

  function held(): Promise<void> {
    return new Promise((resolve) => ended.signal.addEventListener('abort', () => resolve(), { once: true }));
  }

  /** Holds the lock, and with it the lead, until it is given back or stolen. */
  function lead(): Promise<void> {
    if (ended.signal.aborted) return Promise.resolve();
    leader = Promise.resolve(true);
    undo = client().onStatus(announce);
    return new Promise((resolve) => {
      leading = resolve;
    });
  }

  function stand(options: LockOptions): Promise<void> {
    const inherit = () => {
      const held = lead();
      end?.(changed('this tab leads now'));
      wake();
      return held;
    };
    return locks.request(name, options, inherit).then(
      () => {},
      robbed,
    );
  }

  /** The lock was stolen, because this tab was frozen for too long. */
  function robbed(): void {
    if (ended.signal.aborted) return;
    leading = undefined;
    undo?.();
    for (const g of guests.values()) g.close();
    guests.clear();
    leader = Promise.resolve(false);
    void stand({ signal: ended.signal });
    client().reconnect();
  }

  function elect(): Promise<boolean> {
    return new Promise((resolve) => {
      locks
        .request(name, { ifAvailable: true }, (lock) => {
          resolve(lock !== null);
          if (lock) return lead();
          void stand({ signal: ended.signal });
          return undefined;
        })
        .catch(robbed);
    });
  }

  /** Tells the others whether there is a connection. */
  function announce(): void {
    const { status, transport, user, gateway } = client().getStatus();
    const live = status === 'live' || status === 'degraded';
    for (const g of guests.values()) g.announce(live, { transport, user, gateway, degraded: status === 'degraded' });
    if (live && !announced) say({ to: ALL, from: me, frames: [] });
    announced = live;
  }

  channel.onmessage = (e: MessageEvent<TabMessage>) => {
    const m = e.data;
    if ('ask' in m) {
      if (leading) serve(m.from, m.ask);
    } else if (m.to === me) {
      follows = m.from;
      take?.(m.frames);
    } else if (m.to === ALL && !leading) {
      if (m.from !== follows) end?.(changed('another tab leads now'));
      wake();
    }
  };

  function serve(from: string, ask: Ask): void {
    if (ask.do === 'connect') {
      guests.get(from)?.close();
      const g = guest(client(), (frames) => say({ to: from, from: me, frames }));
      guests.set(from, g);
      void locks.request(`${name}:${from}`, { signal: g.signal }, () => leave(from, g)).catch(() => {});
      announce();
    } else if (ask.do === 'close') leave(from, guests.get(from));
    else guests.get(from)?.ask(ask);
  }

  function leave(from: string, g: Guest | undefined): void {
    g?.close();
    if (guests.get(from) === g) guests.delete(from);
  }

  return {
    leads: () => (leader ??= elect()),
    open(on) {
      let up = false;
      let done = false;
      let timer: ReturnType<typeof setTimeout> | undefined;
      let transport: TransportName = 'websocket';
      let asked = Date.now();
      const early: Ask[] = [];
      const ask = (a: Ask) => (up || a.do === 'connect' || a.do === 'close' ? say({ to: 'leader', from: me, ask: a }) : void early.push(a));

      function close(): void {
        if (done) return;
        done = true;
        clearTimeout(timer);
        ask({ do: 'close' });
        end = take = undefined;
      }
      const down = (error: TallywireError) => {
        if (done) return;
        close();
        on.down(error);
      };
      const silent = (what: string) => down(changed(`the tab that leads ${what}`));
      /** Expects an answer; without one the leader is frozen. */
      function expect(ms: number): void {
        clearTimeout(timer);
        timer = setTimeout(() => {
          silent('does not answer');
          void stand({ steal: true });
        }, ms);
      }
      function ping(ms: number): void {
        clearTimeout(timer);
        timer = setTimeout(() => {
          asked = Date.now();
          ask({ do: 'send', frames: [{ type: 'ping' }] });
          expect(PATIENCE_MS);
        }, ms);
      }

      end = down;
      take = (frames) => {
        for (const f of frames) {
          if (f.type === 'pong') on.rtt(Date.now() - asked);
          if (f.type === 'lost') return silent('has lost its connection');
          if (f.type !== 'connected' || up) continue;
          up = true;
          on.rtt(Date.now() - asked);
          transport = (f.transport as TransportName | undefined) ?? transport;
          on.open(f);
          for (const a of early.splice(0)) ask(a);
        }
        if (done) return;
        if (up) ping(PING_MS);
        const rest = frames.filter((f) => !/^(connected|pong|waiting)$/.test(f.type));
        if (rest.length > 0) on.frames(rest);
        if (up || done) return;
        // It is there and waits for its own connection: so does this tab, for as long as an attempt may take.
        clearTimeout(timer);
        timer = setTimeout(() => silent('has no connection'), timeoutMs * 0.9);
      };
      ask({ do: 'connect' });
      expect(Math.min(timeoutMs * 0.9, PATIENCE_MS));
      return {
        get name() {
          return transport;
        },
        proven: () => up,
        subscribe: (id, channels) => ask({ do: 'subscribe', id, channels }),
        unsubscribe: (channels) => ask({ do: 'unsubscribe', channels }),
        send: (frames) => ask({ do: 'send', frames }),
        refresh() {}, // the leader has a token of its own
        probe: () => ping(0),
        close,
      };
    },
    close() {
      ended.abort();
      leading?.();
      undo?.();
      for (const g of guests.values()) g.close();
      guests.clear();
      channel.close();
    },
  };
}
