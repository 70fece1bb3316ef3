import { useEffect } from 'react';
import type { ChannelEvent, EventType } from '../types/index.js';
import { useClient } from './context.js';
import type { Events } from './register.js';
import { fromKey, subscribeOptions, type SubscribingOptions } from './subscribing.js';
import { useNewest } from './useNewest.js';

/** The events of one or several types that the hooks know. */
export type EventsOfType<T extends EventType<Events>> = { [K in T]: ChannelEvent<K, Events[K]> }[T];

/**
 * Calls back with every event of a type, of several, or of all (`'*'`): once, in order, and none is left out,
 * however many come in a frame. It renders nothing.
 */
export function useEvent<T extends EventType<Events>>(
  channel: string,
  type: T | readonly T[],
  callback: (event: EventsOfType<T>) => unknown,
  options?: SubscribingOptions,
): void;
export function useEvent(
  channel: string,
  type: string | readonly string[],
  callback: (event: ChannelEvent) => unknown,
  options?: SubscribingOptions,
): void;
export function useEvent(
  channel: string,
  type: string | readonly string[],
  callback: (event: never) => unknown,
  options: SubscribingOptions = {},
): void {
  const client = useClient();
  const newest = useNewest({ ...options, type, callback: callback as (event: ChannelEvent) => unknown });
  const from = fromKey(options);
  const { skip } = options;
  useEffect(() => {
    if (skip) return;
    return client.subscribe(
      channel,
      (event) => {
        const { type: wanted, callback: call } = newest.current;
        if (wanted === '*' || wanted === event.type || (typeof wanted !== 'string' && wanted.includes(event.type))) call(event);
      },
      subscribeOptions(newest),
    ).close;
  }, [client, channel, skip, from, newest]);
}
