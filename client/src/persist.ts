import { position } from './cursor.js';
import type { Settings } from './settings.js';
import type { Cursor } from './types/index.js';

/**
 * Keeps a channel's cursor across reloads, or reads the one that was kept. A storage that is full, or refuses, is done without: then a
 * reload begins with what comes now.
 */
export function kept(s: Settings, channel: string, cursor?: Cursor): Cursor | undefined {
  try {
    // A page may be refused even the look at its storage.
    const storage = s.persist === 'session' ? globalThis.sessionStorage : s.persist;
    const name = `tallywire:${s.shareKey}:${channel}`;
    if (cursor === undefined) return position(storage?.getItem(name))?.cursor;
    storage?.setItem(name, cursor);
  } catch {
    // Nothing is kept.
  }
  return cursor;
}
