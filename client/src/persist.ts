import type { Channel } from './channel.js';
import { earliest } from './channel.js';
import { position } from './cursor.js';
import type { Settings } from './settings.js';
import type { Cursor } from './types/index.js';

/** Cursors that survive a reload. A storage that is full, or refuses, is done without. */
export interface Persist {
  read(channel: string): Cursor | undefined;
  write(ch: Channel): void;
}

export function persist(s: Settings): Persist {
  // A page may be refused even the look at its storage.
  const storage = () => (s.persist === 'session' ? globalThis.sessionStorage : s.persist);
  const name = (channel: string) => `tallywire:${s.shareKey}:${channel}`;
  return {
    read(channel) {
      try {
        return position(storage()?.getItem(name(channel)))?.cursor;
      } catch {
        return undefined;
      }
    },
    write(ch) {
      const cursor = ch.listeners.size > 0 && earliest(ch)?.cursor;
      try {
        if (cursor) storage()?.setItem(name(ch.name), cursor);
      } catch {
        // Then a reload begins with what comes now.
      }
    },
  };
}
