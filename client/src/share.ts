import type { Load, Settings } from './settings.js';
import { tabs } from './tabs.js';
import type { Client } from './types/index.js';

/** What loads links when one tab connects for all of the same key. */
export interface Shared {
  readonly load: Load;
  close(): void;
}

/**
 * Has the first tab of a key connect for the others, where tabs can find each other.
 *
 * @param wake is called when it is worth trying to connect at once
 */
export function share(s: Settings, client: () => Client<Record<string, unknown>>, wake: () => void): Shared {
  if (!globalThis.BroadcastChannel || !globalThis.navigator?.locks) return { load: s.load, close() {} };
  const t = tabs(s.shareKey, s.timeoutMs, client, wake);
  return {
    load: async (name) => ((await t.leads()) ? s.load(name) : (_token, on) => t.open(on)),
    close: () => t.close(),
  };
}
