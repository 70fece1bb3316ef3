export type { Client, ClientEvents, EventOf, PublishOptions } from './client.js';
export type {
  Ack,
  ChannelEvent,
  Cursor,
  DataOf,
  EventInput,
  EventType,
  Published,
  Reset,
  ResetReason,
  Signal,
} from './event.js';
export type {
  ClientOptions,
  CursorStorage,
  TokenSource,
  TransportName,
  WebSocketConstructor,
  WebSocketLike,
} from './options.js';
export type { Member, Members, PresenceHandle, PresenceStatus } from './presence.js';
export type { ConnectionState, ConnectionStatus } from './status.js';
export type {
  EventHandler,
  HandlerMap,
  SubscribeOptions,
  Subscription,
  SubscriptionPhase,
  SubscriptionState,
} from './subscription.js';
