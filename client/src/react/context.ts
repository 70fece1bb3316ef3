import { createContext, useContext } from 'react';
import type { Client } from '../types/index.js';
import type { Events } from './register.js';

export const RealtimeContext = createContext<Client<Events> | null>(null);

/** The client of the nearest `<RealtimeProvider>`. It is the same object for as long as the provider has it. */
export function useClient(): Client<Events> {
  const client = useContext(RealtimeContext);
  if (!client) {
    throw new Error('no client: wrap the component in <RealtimeProvider client={createClient({ url })}>');
  }
  return client;
}
