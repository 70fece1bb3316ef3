import type { Settings } from './settings.js';
import type { Tabs } from './tabs.js';
import type { Client } from './types/index.js';

/** What is needed of the client to share its connection. */
export interface Sharer {
  client(): Client<Record<string, unknown>>;
  /** It is worth trying to connect at once. */
  wake(): void;
}

/**
 * Settings with which one tab connects for all of the same key. What that takes is in a file of its own. Returns
 * them with their end.
 */
export function share(s: Settings, who: Sharer): [Settings, () => void] {
  let tabs: Promise<Tabs> | undefined;
  let closed = false;
  const shared: Settings = {
    ...s,
    async load(name) {
      tabs ??= import('./tabs.js').then((m) => m.tabs(s.shareKey, s.timeoutMs, () => who.client(), () => who.wake()));
      const t = await tabs;
      if (closed) t.close();
      return (await t.leads()) ? s.load(name) : (_token, on) => t.open(on);
    },
  };
  return [
    shared,
    () => {
      closed = true;
      void tabs?.then((t) => t.close());
    },
  ];
}

/** Whether tabs can find each other here. */
export function canShare(): boolean {
  return typeof BroadcastChannel !== 'undefined' && typeof navigator !== 'undefined' && 'locks' in navigator;
}
