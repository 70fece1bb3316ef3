import { createClient, type EventMap } from '@tallywire/client';
import { Account, type DeliveryAccount } from './account';
import { Chaos } from './chaos';
import { credential } from './identity';

declare global {
  interface Window {
    /** What the page has received, for tests and for the curious: `__tallywire.read()`. */
    __tallywire?: { read(): DeliveryAccount; chaos: Chaos; status(): unknown };
  }
}

export const chaos = new Chaos();
export const account = new Account();

/** The page's one connection. */
export const client = account.watch(
  createClient<EventMap>({
    url: '',
    token: credential,
    fetch: chaos.fetch,
    WebSocket: chaos.WebSocket,
    backoff: { minMs: 250, maxMs: 8_000 },
  }),
);

window.__tallywire = { read: () => account.read(), chaos, status: () => client.getStatus() };
