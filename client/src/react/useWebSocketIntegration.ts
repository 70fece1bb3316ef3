import { useEffect, useMemo, useRef } from 'react';
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
import { useClient } from './context.js';
import { forget, nextFrame } from './frame.js';
import type { Events } from './register.js';
import { dispatch, fromKey, subscribeOptions, type Handlers, type SubscribingOptions } from './subscribing.js';
import { useNewest } from './useNewest.js';
import { useSelected, type Readable } from './useSelected.js';
import { useStatusStore } from './useStatusStore.js';
import { useTracked } from './useTracked.js';

export interface IntegrationOptions<T> extends SubscribingOptions {
  /** Channels to follow. The list may be written inline. */
  channels?: readonly string[] | undefined;
  /** Called with every event of the channels, once and in order. */
  onEvent?: Handlers | undefined;
  /** Picks `value` from each event; undefined leaves it as it is. Shown at most once a frame: for every event there is `onEvent`. */
  select?: ((event: ChannelEvent, before: T | undefined) => T | undefined) | undefined;
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
  const open = useRef(new Set<Subscription>());
  useEffect(() => {
    const subscriptions = open.current;
    return () => {
      for (const one of subscriptions) one.close();
      subscriptions.clear();
    };
  }, [client]);
  return useMemo(
    () => ({
      client,
      publish: (channel, event, o) => client.publish(channel, event, o),
      signal: (channel, event) => client.signal(channel, event),
      reconnect: () => client.reconnect(),
      subscribe(channel, handler, o) {
        const one = client.subscribe(channel, handler, o);
        open.current.add(one);
        return {
          channel,
          getState: () => one.getState(),
          onState: (listener) => one.onState(listener),
          close() {
            open.current.delete(one);
            one.close();
          },
        };
      },
    }),
    [client],
  );
}

/** Follows the channels of the options, and returns what they select. */
function useChannels<T>(client: Client<Events>, options: IntegrationOptions<T>): T | undefined {
  const newest = useNewest(options);
  const store = useMemo(() => new ValueStore<T>(), []);
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
        try {
          dispatch(onEvent, event);
        } finally {
          const picked = select(event, store.next) as T | undefined;
          if (picked !== undefined) store.set(picked);
        }
      };
      open.current.set(channel, client.subscribe(channel, take, subscribeOptions(newest)));
    }
  }, [client, names, from, newest, store]);

  useEffect(() => {
    const subscriptions = open.current;
    return () => {
      for (const one of subscriptions.values()) one.close();
      subscriptions.clear();
    };
  }, [client, from]);

  return useSelected<T | undefined, T | undefined>(store, { equal: options.equal });
}

const same = (event: unknown): unknown => event;

/** The newest value, shown once a frame. */
class ValueStore<T> implements Readable<T | undefined> {
  readonly initial = undefined;
  next: T | undefined;
  #shown: T | undefined;
  readonly #listeners = new Set<() => void>();

  readonly get = (): T | undefined => this.#shown;

  readonly listen = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      forget(this.#show);
    };
  };

  set(value: T): void {
    this.next = value;
    nextFrame(this.#show);
  }

  readonly #show = (): void => {
    this.#shown = this.next;
    for (const listener of this.#listeners) listener();
  };
}
