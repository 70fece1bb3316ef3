import type { EventMap } from './events/index.js';
import type { Client, ClientOptions } from './types/index.js';

/** Makes a client. It does nothing until it is first asked for something. */
export function createClient<M = EventMap>(options: ClientOptions): Client<M> {
  throw new Error(`not there yet: ${options.url}`);
}
