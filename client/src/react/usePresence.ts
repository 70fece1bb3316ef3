import { useCallback, useEffect, useRef, useState } from 'react';
import type { TallywireError } from '../error.js';
import type { PresenceHandle, PresenceStatus } from '../types/index.js';
import { useClient } from './context.js';
import type { SkipOption } from './types.js';
import { useNewest } from './useNewest.js';

/** What `usePresence` returns. */
export interface OwnPresence<S> {
  /** The gateway refused it, or the change before this one; null once all is well. */
  error: TallywireError | null;
  /** Says something else, until the component gives another status. */
  update(status: S | null): Promise<void>;
}

/**
 * Makes the user present in a channel for as long as the component is mounted, and says what the user is
 * looking at. A status that is another object with the same content is the same.
 */
export function usePresence<S = PresenceStatus>(channel: string, status?: S | null, options: SkipOption = {}): OwnPresence<S> {
  const client = useClient();
  const [error, setError] = useState<TallywireError | null>(null);
  const handle = useRef<PresenceHandle<S> | null>(null);
  const newest = useNewest(status);
  const { skip } = options;

  const told = useCallback((done: Promise<void>) => {
    const of = handle.current;
    const unlessOver = (e: TallywireError | null) => handle.current === of && setError(e);
    void done.then(() => unlessOver(null), unlessOver);
  }, []);

  useEffect(() => {
    if (skip) return;
    const here = client.presence<S>(channel);
    handle.current = here;
    told(here.enter(newest.current));
    return () => {
      handle.current = null;
      setError(null);
      // Later, so that a component that comes in its place, or StrictMode, makes no leave and no join.
      setTimeout(() => void here.leave().catch(() => {}));
    };
  }, [client, channel, skip, newest, told]);

  const text = status === undefined ? undefined : JSON.stringify(status);
  const entered = useRef<string | undefined>(undefined);
  useEffect(() => {
    const changed = text !== undefined && entered.current !== undefined && text !== entered.current;
    entered.current = text;
    if (changed && handle.current) told(handle.current.update(newest.current ?? null));
  }, [text, newest, told]);

  const update = useCallback((next: S | null) => handle.current?.update(next) ?? Promise.resolve(), []);
  return { error, update };
}
