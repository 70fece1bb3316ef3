import { assemble } from './core.js';
import { position } from './cursor.js';
import { TallywireError } from './error.js';
import type { EventMap } from './events/index.js';
import type { Listener } from './listener.js';
import { stateOf } from './listener.js';
import { presenceHandle } from './presence/handle.js';
import { settings } from './settings.js';
import { canShare, share } from './share.js';
import { listeners } from './store.js';
import type {
  ChannelEvent,
  Client,
  ClientOptions,
  EventHandler,
  EventInput,
  HandlerMap,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from './types/index.js';

const CHANNEL = /^(?!_)[A-Za-z0-9_.:-]{1,128}$/;

function checked(channel: string): string {
  if (!CHANNEL.test(channel)) {
    throw new TallywireError('invalid_argument', `channel: ${JSON.stringify(channel)} is no name: 1 to 128 of A-Z a-z 0-9 _ . : -`, {
      channel,
    });
  }
  return channel;
}

/** Makes a client. It does nothing until it is first asked for something. */
export function createClient<M = EventMap>(options: ClientOptions): Client<M> {
  let own = settings(options);
  let unshare: (() => void) | undefined;
  if (options.shareTabs && canShare()) {
    [own, unshare] = share(own, { client: () => client as Client<Record<string, unknown>>, wake: () => core.connection.wake() });
  }
  const core = assemble(own);

  function subscribe(channel: string, handler: EventHandler | HandlerMap<M>, o: SubscribeOptions = {}): Subscription {
    const l = listenerFor<M>(checked(channel), handler, o, core.saved(channel), core.thrown);
    core.start();
    const ch = core.subs.add(channel, l);
    return {
      channel,
      getState: () => stateOf(l, ch.owner !== null, ch.head),
      onState: (fn) => l.changed.add(fn),
      close() {
        if (l.closed) return;
        l.closed = true;
        core.subs.remove(ch, l);
      },
    };
  }

  const client: Client<M> = {
    connect: () => core.connect(),
    reconnect: () => core.connection.reconnect(),
    close() {
      unshare?.();
      return core.close();
    },
    getStatus: () => core.getStatus(),
    onStatus: (fn) => core.onStatus.add(fn),
    on: (_name, fn) => core.onError.add(fn),
    subscribe,
    publish(channel: string, event: EventInput, o?: PublishOptions) {
      try {
        checked(channel);
      } catch (error) {
        return Promise.reject(error);
      }
      core.start();
      return core.calls.publish(channel, event, o);
    },
    signal: (channel, event) => core.calls.signal(checked(channel), event),
    presence: (channel) => presenceHandle(core, checked(channel)),
  };
  return client;
}

function listenerFor<M>(
  channel: string,
  handler: EventHandler | HandlerMap<M>,
  o: SubscribeOptions,
  saved: string | undefined,
  thrown: (cause: unknown) => void,
): Listener {
  const from = o.from ?? saved ?? 'now';
  const pos = typeof from === 'string' && from !== 'now' ? position(from) : undefined;
  if (from !== 'now' && !(from instanceof Date) && !pos) {
    throw new TallywireError('invalid_argument', `from: ${JSON.stringify(from)} is no cursor`, { channel });
  }
  const map = handler as Readonly<Record<string, EventHandler | undefined>>;
  return {
    pos,
    since: from instanceof Date ? from.toISOString() : undefined,
    skipped: 0,
    resetting: undefined,
    error: undefined,
    closed: false,
    state: { phase: 'pending', cursor: pos?.cursor, head: undefined, error: undefined },
    changed: listeners(thrown),
    onEvent:
      typeof handler === 'function'
        ? handler
        : (e: ChannelEvent) => (Object.hasOwn(map, e.type) ? map[e.type] : map['*'])?.(e),
    onReset: (r) => o.onReset?.(r),
    onSignal: (s) => o.onSignal?.(s),
    onError(error) {
      o.onError?.(error);
      return o.onError !== undefined;
    },
  };
}
