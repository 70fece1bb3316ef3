import { useMemo } from 'react';
import { idle } from '../status.js';
import type { ConnectionStatus } from '../types/index.js';
import { useClient } from './context.js';
import type { Readable } from './store.js';

/** What is said of a connection on servers. */
export const IDLE = idle();

/** The client's status as a store. */
export function useStatusStore(): Readable<ConnectionStatus> {
  const client = useClient();
  return useMemo(
    () => ({ listen: (listener: () => void) => client.onStatus(listener), get: () => client.getStatus(), initial: IDLE }),
    [client],
  );
}
