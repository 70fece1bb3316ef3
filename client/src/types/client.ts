import type { TallywireError } from '../error.js';
import type { Ack, ChannelEvent, DataOf, EventInput, EventType, Published } from './event.js';
import type { PresenceHandle, PresenceStatus } from './presence.js';
import type { ConnectionStatus } from './status.js';
import type { EventHandler, HandlerMap, SubscribeOptions, Subscription } from './subscription.js';

/** How to publish. */
export interface PublishOptions {
  /** What the answer has to say at least. */
  ack?: Ack;
  /** Gives up waiting: the promise is rejected with `aborted`, and whether the event is published is unknown if it was sent. */
  signal?: AbortSignal;
}

/** What `on` can listen to. */
export interface ClientEvents {
  /** What nothing else was told of: errors of the gateway, handlers that threw, a token source that failed. */
  error: TallywireError;
}

/**
 * A client has one connection at a time (and for moments two), which all its subscriptions share. It
 * connects when it is first asked for something. `M` maps event types to their data.
 */
export interface Client<M = Record<string, unknown>> {
  /** Connects now. Resolves at the first connection; rejects when closed before. */
  connect(): Promise<void>;
  /** Drops the connection and makes a new one at once. */
  reconnect(): void;
  /** Ends everything: no timer, listener or connection is left. Publishes that wait are rejected with `closed`. */
  close(): Promise<void>;

  /** The connection as it is. */
  getStatus(): ConnectionStatus;
  /** Calls back when the status has changed; returns its undo. */
  onStatus(listener: () => void): () => void;
  /** Listens; returns its undo. */
  on<K extends keyof ClientEvents>(name: K, listener: (value: ClientEvents[K]) => void): () => void;

  /**
   * Follows a channel until the subscription is closed: every event once, in order, or a reset that says why
   * events may be missing. A handler that throws is reported and does not stop others.
   */
  subscribe(channel: string, handler: EventHandler | HandlerMap<M>, options?: SubscribeOptions): Subscription;

  /**
   * Publishes an event. Without a connection it waits for one, and after a lost one it is sent again with the same id, so that
   * it happens once. Publishes are sent in the order of the calls; one that the gateway asks to repeat later may come after others.
   */
  publish<T extends EventType<M>>(channel: string, event: EventInput<T, M[T]>, options?: PublishOptions): Promise<Published>;
  publish<T extends string>(channel: string, event: EventInput<T, DataOf<M, T>>, options?: PublishOptions): Promise<Published>;

  /** Sends an ephemeral event to those who listen now, at most once. False where there is no connection to carry it. */
  signal<T extends string>(channel: string, event: EventInput<T, DataOf<M, T>>): boolean;

  /** A handle on the session's presence in a channel, and on its members. */
  presence<S = PresenceStatus>(channel: string): PresenceHandle<S>;
}

/** Narrows an event to a type that the map knows. */
export type EventOf<M, T extends EventType<M>> = ChannelEvent<T, M[T]>;
