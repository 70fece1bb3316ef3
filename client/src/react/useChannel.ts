import { useMemo } from 'react';
import type { DataOf, EventInput, PublishOptions, Published, SubscriptionState } from '../types/index.js';
import { dispatch } from '../dispatch.js';
import { useClient } from './context.js';
import type { Events } from './register.js';
import { frameStore, mirror } from './store.js';
import { fromKey, subscribeOptions, type Handlers, type SubscribingOptions } from './subscribing.js';
import { useNewest } from './useNewest.js';
import { useTracked } from './useTracked.js';

const PENDING: SubscriptionState = { phase: 'pending', cursor: undefined, head: undefined, error: undefined };

export interface ChannelOptions extends SubscribingOptions {
  /** Called with every event, once and in order. */
  on?: Handlers | undefined;
}

/** What can be done in a channel. The functions stay the same for as long as client and channel do. */
export interface ChannelActions {
  publish<T extends string>(event: EventInput<T, DataOf<Events, T>>, options?: PublishOptions): Promise<Published>;
  signal<T extends string>(event: EventInput<T, DataOf<Events, T>>): boolean;
}

/** Follows a channel. The component renders for those of `phase`, `error`, `cursor` and `head` that it reads. */
export function useChannel(channel: string, options: ChannelOptions = {}): SubscriptionState & ChannelActions {
  const client = useClient();
  const newest = useNewest(options);
  const { skip } = options;
  const from = fromKey(options);
  const store = useMemo(
    () =>
      frameStore(PENDING, (set) => {
        if (skip) return nothing;
        const subscription = client.subscribe(channel, (e) => dispatch(newest.current.on ?? nothing, e), subscribeOptions(newest));
        const undo = mirror(set, subscription.getState, subscription.onState);
        return () => {
          undo();
          subscription.close();
        };
      }),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- another beginning is another subscription
    [client, channel, skip, from, newest],
  );
  const actions = useMemo<ChannelActions>(
    () => ({
      publish: (event, o) => client.publish(channel, event, o),
      signal: (event) => client.signal(channel, event),
    }),
    [client, channel],
  );
  return useTracked(store, actions);
}

const nothing = (): void => {};
