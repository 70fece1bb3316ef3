import { assemble } from './core.js';
import { position } from './cursor.js';
import { dispatch } from './dispatch.js';
import { TallywireError } from './error.js';
import type { EventMap } from './events/index.js';
import type { Listener } from './listener.js';
import { stateOf } from './listener.js';
import { presenceHandle } from './presence/handle.js';
import { settings } from './settings.js';
import { listeners } from './store.js';
import type {
  Client,
  ClientOptions,
  EventHandler,
  EventInput,
  HandlerMap,
  PublishOptions,
  SubscribeOptions,
  Subscription,
  SubscriptionState,
} from './types/index.js';

const CHANNEL = /^(?!_)[A-Za-z0-9_.:-]{1,128}$/;

function checked(channel: string): string {
  if (!CHANNEL.test(channel)) {
    throw new TallywireError('invalid_argument', `channel: ${JSON.stringify(channel)} does not match ${CHANNEL}`, {
      channel,
    });
  }
  return channel;
}

/** Makes a client. It does nothing until it is first asked for something. */
export function createClient<M = EventMap>(options: ClientOptions): Client<M> {
  const s = settings(options);
  // Where that cannot be loaded, tabs do not share.
  const shared = options.shareTabs
    ? import('./share.js').then((m) => m.share(s, () => client, () => core.connection.wake())).catch(() => s)
    : undefined;
  const core = assemble(shared ? { ...s, load: async (name) => (await shared).load(name) } : s);

  function subscribe(channel: string, handler: EventHandler | HandlerMap<M>, o: SubscribeOptions = {}): Subscription {
    const l = listenerFor<M>(checked(channel), handler, o, core.saved(channel), core.thrown);
    core.start();
    const ch = core.subs.add(channel, l);
    return {
      channel,
      getState: () => stateOf(l, ch.owner !== null, ch.head),
      onState: l.changed.add,
      close() {
        if (l.closed) return;
        l.closed = true;
        core.subs.remove(ch, l);
      },
    };
  }

  const client: Client<M> = {
    async connect() {
      core.start();
      return (await core.more()).connected();
    },
    reconnect: core.connection.reconnect,
    close() {
      void shared?.then((x) => 'close' in x && x.close());
      return core.close();
    },
    getStatus: core.getStatus,
    onStatus: core.onStatus.add,
    on: (_name, fn) => core.onError.add(fn),
    subscribe,
    async publish(channel: string, event: EventInput, o?: PublishOptions) {
      checked(channel);
      core.start();
      return (await core.more()).calls.publish(channel, event, o);
    },
    signal: (channel, event) => core.loaded()?.calls.signal(checked(channel), event) ?? false,
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
    throw new TallywireError('invalid_argument', `from: ${JSON.stringify(from)} is none`, { channel });
  }
  return {
    pos,
    since: from instanceof Date ? from.toISOString() : undefined,
    skipped: 0,
    closed: false,
    options: o,
    state: {} as SubscriptionState, // made when it is first looked at
    changed: listeners(thrown),
    onEvent: (e) => dispatch(handler, e),
  };
}
