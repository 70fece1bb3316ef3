import { useState, type ReactNode } from 'react';
import { createClient } from '../client.js';
import type { Client, ClientOptions } from '../types/index.js';
import { RealtimeContext } from './context.js';
import { endLater, keep } from './later.js';
import type { Events } from './register.js';
import { useEarlyEffect } from './useNewest.js';

/** Either a client, which stays yours to close, or options for one that lives as long as the provider. */
export type RealtimeProviderProps<M = Events> = { children?: ReactNode } & (
  | { client: Client<M>; options?: never }
  | { client?: never; options: ClientOptions }
);

/**
 * Gives a client to the hooks below it. `options` are read once: to begin anew with others (another user,
 * say), give the provider another `key`. Nothing is opened until something below asks for it.
 */
export function RealtimeProvider<M = Events>({ client, options, children }: RealtimeProviderProps<M>): ReactNode {
  return client ? (
    <RealtimeContext.Provider value={client}>{children}</RealtimeContext.Provider>
  ) : (
    <OwnClient options={options}>{children}</OwnClient>
  );
}

function OwnClient({ options, children }: { options: ClientOptions; children: ReactNode }): ReactNode {
  const [first] = useState(options);
  const [client, setClient] = useState(() => createClient<Events>(first));
  // Before the effects of the hooks below, which use the client.
  useEarlyEffect(() => {
    keep(client);
    // A tree that was hidden has lost its client when it is shown again.
    if (client.getStatus().status === 'closed') setClient(createClient<Events>(first));
    return () => endLater(client, () => client.close());
  }, [client, first]);
  return <RealtimeContext.Provider value={client}>{children}</RealtimeContext.Provider>;
}
