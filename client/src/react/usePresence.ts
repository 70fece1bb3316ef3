import { useEffect, useMemo, useState } from 'react';
import type { TallywireError } from '../error.js';
import type { PresenceStatus } from '../types/index.js';
import { useClient } from './context.js';
import { endLater, keep } from './later.js';
import type { SkipOption } from './types.js';
import { useNewest } from './useNewest.js';

/**
 * Makes the user present in a channel for as long as the component is mounted, and says what the user is
 * looking at. A status with the same content is the same; null takes it away. The result says why the gateway refused, or null.
 */
export function usePresence<S = PresenceStatus>(
  channel: string,
  status?: S | null,
  { skip }: SkipOption = {},
): { readonly error: TallywireError | null } {
  const client = useClient();
  const [error, setError] = useState<TallywireError | null>(null);
  const newest = useNewest(status);
  const text = JSON.stringify(status);
  const handle = useMemo(() => (skip ? null : client.presence<S>(channel)), [client, channel, skip]);

  useEffect(() => {
    if (!handle) return;
    let over = false;
    const told = (e: TallywireError | null): void => void (over || setError(e));
    handle.enter(newest.current).then(() => told(null), told);
    return () => {
      over = true;
    };
  }, [handle, text, newest]);

  useEffect(() => {
    if (!handle) return;
    keep(handle);
    return () => endLater(handle, () => handle.leave().catch(() => {}));
  }, [handle]);

  return { error };
}
