import { useEffect, useMemo, useRef, useState } from 'react';
import type {
  ChannelEvent,
  Client,
  ConnectionStatus,
  DataOf,
  EventHandler,
  EventInput,
  HandlerMap,
  PublishOptions,
  Published,
  SubscribeOptions,
  Subscription,
} from '../types/index.js';
import { dispatch } from '../dispatch.js';
import { useClient } from './context.js';
import type { Events } from './register.js';
import { frameStore } from './store.js';
import { fromKey, subscribeOptions, type Handlers, type SubscribingOptions } from './subscribing.js';
import { useNewest } from './useNewest.js';
import { same, useSelected } from './useSelected.js';
import { useStatusStore } from './useStatusStore.js';
import { useTracked } from './useTracked.js';

export interface IntegrationOptions<T> extends SubscribingOptions {
  /** Channels to follow. The list may be written inline. */
  channels?: readonly string[] | undefined;
  /** Called with every event of the channels, once and in order. */
  onEvent?: Handlers | undefined;
  /** Picks `value` from each event; null and undefined leave it as it is. Shown at most once a frame: for every event there is `onEvent`. */
  select?: ((event: ChannelEvent, before: T | undefined) => T | null | undefined) | undefined;
  equal?: ((a: T | undefined, b: T | undefined) => boolean) | undefined;
}

export interface IntegrationActions {
  /** Follows a channel until it is closed, or the component is gone. */
  subscribe(channel: string, handler: EventHandler | HandlerMap<Events>, options?: SubscribeOptions): Subscription;
  publish<K extends string>(channel: string, event: EventInput<K, DataOf<Events, K>>, options?: PublishOptions): Promise<Published>;
  signal<K extends string>(channel: string, event: EventInput<K, DataOf<Events, K>>): boolean;
  /** Drops the connection and makes a new one at once. */
  reconnect(): void;
  client: Client<Events>;
}

export type Integration<T> = ConnectionStatus & IntegrationActions & { readonly value: T | undefined };

/**
 * The one hook that makes a component a part of the live system: the connection (`status`, `transport`, `latencyMs`, `lastError` …), the
 * events of its channels, and the means to publish. The component renders for those properties that it reads; the functions stay the same.
 */
export function useWebSocketIntegration<T = ChannelEvent>(options: IntegrationOptions<T> = {}): Integration<T> {
  const client = useClient();
  const actions = useActions(client);
  const value = useChannels(client, options);
  return useTracked(
    useStatusStore(),
    useMemo(() => ({ ...actions, value }), [actions, value]),
  );
}

function useActions(client: Client<Events>): IntegrationActions {
  const open = useRef(new Set<() => void>());
  useEffect(() => () => open.current.forEach((close) => close()), [client]);
  return useMemo(
    () => ({
      client,
      publish: (channel, event, o) => client.publish(channel, event, o),
      signal: (channel, event) => client.signal(channel, event),
      reconnect: () => client.reconnect(),
      subscribe(channel, handler, o) {
        const one = client.subscribe(channel, handler, o);
        const close = (): void => {
          open.current.delete(close);
          one.close();
        };
        open.current.add(close);
        return { ...one, close };
      },
    }),
    [client],
  );
}

/** Follows the channels of the options, and returns what they select. */
function useChannels<T>(client: Client<Events>, options: IntegrationOptions<T>): T | undefined {
  const newest = useNewest(options);
  const [store] = useState(() => frameStore<T | undefined>(undefined));
  const { channels = [], skip } = options;
  const names = skip ? '' : [...new Set(channels)].sort().join('\n');
  const from = fromKey(options);
  const open = useRef(new Map<string, Subscription>());

  useEffect(() => {
    const wanted = new Set(names.split('\n').filter(Boolean));
    for (const [channel, one] of open.current) {
      if (wanted.has(channel)) continue;
      one.close();
      open.current.delete(channel);
    }
    for (const channel of wanted) {
      if (open.current.has(channel)) continue;
      const take = (event: ChannelEvent): void => {
        const { onEvent, select = same } = newest.current;
        store.set((before) => (select(event, before) as T | undefined) ?? before);
        if (onEvent) dispatch(onEvent, event); // last, since it may throw
      };
      open.current.set(channel, client.subscribe(channel, take, subscribeOptions(newest)));
    }
  }, [client, names, from, newest, store]);

  useEffect(
    () => () => {
      open.current.forEach((one) => one.close());
      open.current.clear();
    },
    [client, from],
  );

  return useSelected<T | undefined, T | undefined>(store, { equal: options.equal });
}
