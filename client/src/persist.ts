import type { Channel } from './channel.js';
import { earliest } from './channel.js';
import { position } from './cursor.js';
import type { Cursor, CursorStorage } from './types/index.js';

/** Cursors that survive a reload. A storage that is full, or refuses, is done without. */
export interface Persist {
  read(channel: string): Cursor | undefined;
  write(ch: Channel): void;
}

export function persist(storage: CursorStorage | undefined, key: string): Persist {
  const name = (channel: string) => `tallywire:${key}:${channel}`;
  return {
    read(channel) {
      try {
        return position(storage?.getItem(name(channel)))?.cursor;
      } catch {
        return undefined;
      }
    },
    write(ch) {
      const cursor = earliest(ch)?.cursor;
      if (!cursor || ch.listeners.size === 0) return;
      try {
        storage?.setItem(name(ch.name), cursor);
      } catch {
        // Then a reload begins with what comes now.
      }
    },
  };
}
