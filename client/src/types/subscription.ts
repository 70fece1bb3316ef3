import type { TallywireError } from '../error.js';
import type { ChannelEvent, Cursor, EventType, Reset, Signal } from './event.js';

/** Takes an event. The subscription's cursor moves when it has returned; a promise is not waited for. */
export type EventHandler<T extends string = string, D = unknown> = (event: ChannelEvent<T, D>) => unknown;

/**
 * Handlers by event type. Those of types that `M` does not know get `data: unknown`; `'*'` gets every
 * event that has no handler of its own.
 */
export type HandlerMap<M> = { readonly [T in EventType<M>]?: EventHandler<T, M[T]> } & {
  readonly '*'?: EventHandler;
} & { readonly [type: string]: UnknownHandler | undefined };

/** A handler as a method, so that one with narrower data fits the index signature. */
type UnknownHandler = { handle(event: ChannelEvent): unknown }['handle'];

/** Where a subscription begins. */
export interface SubscribeOptions {
  /** `'now'` (default), after a cursor, or after what was published up to a time. */
  from?: 'now' | Cursor | Date;
  /** Events may be missing: reload what is shown. */
  onReset?(reset: Reset): void;
  /** Ephemeral events, which may be lost. */
  onSignal?(signal: Signal): void;
  /** The gateway refuses the channel, or has trouble with it. Without it the client's `error` listeners are told. */
  onError?(error: TallywireError): void;
}

/**
 * - `pending`: no gateway delivers the channel now
 * - `live`: events arrive
 * - `resetting`: a reset was told, and the events up to the head of then are still coming
 * - `failed`: the gateway refuses; `error` says why
 */
export type SubscriptionPhase = 'pending' | 'live' | 'resetting' | 'failed';

/** An immutable snapshot: it is the same object until something has changed. */
export interface SubscriptionState {
  readonly phase: SubscriptionPhase;
  /** The last event whose handlers have run; undefined until known. */
  readonly cursor: Cursor | undefined;
  /** The newest entry of the channel that is known. */
  readonly head: Cursor | undefined;
  readonly error: TallywireError | undefined;
}

/** One subscriber's view of a channel. Several in one channel share what the gateway sends. */
export interface Subscription {
  readonly channel: string;
  getState(): SubscriptionState;
  /** Calls back when the state has changed, at most once a batch of events; returns its undo. */
  onState(listener: () => void): () => void;
  /** Ends it; no handler is called again. May be called more than once. */
  close(): void;
}
