import { useMemo, type RefObject } from 'react';
import type { Client, DataOf, EventInput, PublishOptions, Published, Subscription, SubscriptionState } from '../types/index.js';
import { useClient } from './context.js';
import { forget, nextFrame } from './frame.js';
import type { Events } from './register.js';
import { dispatch, fromKey, subscribeOptions, type Handlers, type SubscribingOptions } from './subscribing.js';
import { useNewest } from './useNewest.js';
import type { Readable } from './useSelected.js';
import { useTracked } from './useTracked.js';

const PENDING: SubscriptionState = Object.freeze({ phase: 'pending', cursor: undefined, head: undefined, error: undefined });

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
    () => new ChannelStore(client, channel, !skip, newest),
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

/** One hook's subscription, open while the component is mounted. */
class ChannelStore implements Readable<SubscriptionState> {
  readonly initial = PENDING;
  #shown = PENDING;
  #subscription: Subscription | undefined;

  constructor(
    private readonly client: Client<Events>,
    private readonly channel: string,
    private readonly active: boolean,
    private readonly newest: RefObject<ChannelOptions>,
  ) {}

  readonly get = (): SubscriptionState => this.#shown;

  readonly listen = (listener: () => void): (() => void) => {
    if (!this.active) return () => {};
    const { newest } = this;
    const subscription = this.client.subscribe(this.channel, (e) => dispatch(newest.current.on, e), subscribeOptions(newest));
    this.#subscription = subscription;
    this.#shown = subscription.getState();
    const show = (): void => {
      if (this.#subscription !== subscription) return;
      this.#shown = subscription.getState();
      listener();
    };
    const undo = subscription.onState(() => nextFrame(show));
    return () => {
      undo();
      forget(show);
      subscription.close();
    };
  };
}
