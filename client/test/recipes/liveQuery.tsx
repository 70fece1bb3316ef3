import { useEvent, type Events, type SubscribingOptions } from '../../src/react/index.js';
import { useQueryClient, type QueryKey } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';

export interface LiveQueryOptions<T extends keyof Events & string, Q> extends SubscribingOptions {
  channel: string;
  types: readonly T[];
  /** The query that these events are about. */
  queryKey: QueryKey;
  /** The cached data after an event. Undefined, or no such function: the query is fetched again instead. */
  apply?: (data: Q, type: T, event: Events[T]) => Q | undefined;
}

/** Keeps a query up to date from a channel. Call it beside `useQuery`. */
export function useLiveQuery<T extends keyof Events & string, Q>(options: LiveQueryOptions<T, Q>): void {
  const { channel, types, queryKey, apply } = options;
  const queries = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);

  const refetch = (): void => {
    // A burst makes one request: the first event sets the time, the others wait with it.
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      void queries.invalidateQueries({ queryKey });
    }, 250);
  };

  useEvent(channel, types, (event) => {
    const before = queries.getQueryData<Q>(queryKey);
    const after = before === undefined ? undefined : apply?.(before, event.type, event.data);
    if (after === undefined) refetch();
    else queries.setQueryData(queryKey, after);
  }, {
    ...options,
    // Events may be missing: only the server knows what is so now.
    onReset: (reset) => {
      refetch();
      options.onReset?.(reset);
    },
  });
}
