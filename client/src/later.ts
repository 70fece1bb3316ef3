import type { Calls } from './calls.js';
import { calls } from './calls.js';
import type { Conn } from './conn.js';
import type { Connection } from './connection.js';
import { TallywireError } from './error.js';
import type { ServerFrame } from './frame.js';
import type { Presence, PresenceNeeds } from './presence/index.js';
import { onMoments } from './lifecycle.js';
import { presence } from './presence/index.js';
import { refresher } from './refresh.js';
import type { Listeners } from './store.js';
import type { TokenSource } from './types/index.js';
import { watchdog } from './watchdog.js';

/** What is not needed to connect and to deliver: it is loaded meanwhile. */
export interface Later {
  readonly calls: Calls;
  readonly presence: Presence;
  /** Resolves when there is a connection; rejects when the client is closed before. */
  connected(): Promise<void>;
  /** A connection has become the current one. */
  attached(c: Conn): void;
  /** Channels were asked for. */
  asked(c: Conn): void;
  /** The gateway has said until when the connection's token is good. */
  expires(c: Conn): void;
  /** There is no connection any more. */
  lost(): void;
  /** Sees every frame when it comes, and takes answers; false where it is none. */
  answer(f: ServerFrame): boolean;
  close(): void;
}

export interface LaterNeeds extends PresenceNeeds {
  readonly token: TokenSource | undefined;
  /** How many publishes may wait. */
  readonly limit: number;
  report(error: TallywireError): void;
  readonly onStatus: Listeners;
  readonly connection: Connection;
}

export function later(n: LaterNeeds): Later {
  const publishes = calls(n);
  const together = presence(n);
  const tokens = refresher(n);
  const dog = watchdog({
    current: n.current,
    degraded: () => n.getStatus().status === 'degraded',
    fail: n.connection.fail,
    ask(channel) {
      const ch = n.subs.channels.get(channel);
      if (ch) n.subs.ask(ch);
    },
  });
  const undo = onMoments(n.connection.wake, () => n.current()?.link.probe());
  return {
    calls: publishes,
    presence: together,
    connected: () =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (n.getStatus().status === 'closed') reject(new TallywireError('closed', 'the client is closed'));
          else if (n.current()) resolve();
          else return;
          unlisten();
        };
        const unlisten = n.onStatus.add(look);
        look();
      }),
    attached(c) {
      // Who is present comes before what is followed, and both before what is published.
      together.stays.attached();
      publishes.attached(c);
      tokens.watch(c);
      dog.asked(c);
    },
    asked: dog.asked,
    expires(c) {
      tokens.watch(c);
      together.stays.repeat(); // a stream that was opened again may be at another gateway
    },
    lost() {
      tokens.stop();
      dog.stop();
      together.stays.lost();
    },
    answer(f) {
      tokens.hear(f);
      if (f.id === undefined) return false;
      dog.answer(f);
      return publishes.answer(f) || together.answer(f);
    },
    close() {
      undo();
      tokens.stop();
      dog.stop();
      publishes.close();
      together.stays.close();
    },
  };
}
