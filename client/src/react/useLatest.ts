import { useMemo } from 'react';
import type { ChannelEvent, EventType } from '../types/index.js';
import type { Events } from './register.js';
import type { FromOption, SelectOptions, SkipOption } from './types.js';
import { useShared, type Source } from './useShared.js';

export interface LatestOptions<E, T> extends SkipOption, FromOption, SelectOptions<E | undefined, T> {
  /** Only events about this. */
  subject?: string | undefined;
}

/**
 * The newest event of a channel, by type, subject or both; undefined until there is one. Components that ask
 * for the same share what is known. Those in between are not shown, at most one a frame is: for each of them there is `useEvent`.
 * With `from: '0'` the newest one of the past is found too, which reads all that the channel retains.
 */
export function useLatest<K extends EventType<Events>, T = ChannelEvent<K, Events[K]> | undefined>(
  channel: string,
  options: LatestOptions<ChannelEvent<K, Events[K]>, T> & { type: K },
): T;
export function useLatest<T = ChannelEvent | undefined>(
  channel: string,
  options?: LatestOptions<ChannelEvent, T> & { type?: string | undefined },
): T;
export function useLatest<T>(channel: string, options: LatestOptions<ChannelEvent, T> & { type?: string | undefined } = {}): T {
  const { type, subject, skip, from } = options;
  const key = skip ? null : JSON.stringify(['latest', channel, type, subject, from]);
  const source = useMemo<Source<ChannelEvent | undefined>>(
    () => ({
      initial: undefined,
      feed(client, set) {
        return client.subscribe(
          channel,
          (event) => {
            if ((type ?? event.type) === event.type && (subject ?? event.subject) === event.subject) set(() => event);
          },
          {
            ...(from !== undefined && { from }),
            // After any other reset it may be of a log that is gone.
            onReset: ({ reason }) => reason !== 'trimmed' && set(() => undefined),
          },
        ).close;
      },
    }),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the key holds everything
    [key],
  );
  return useShared(key, source, options)[0];
}
