import type { EventMap } from './events/index.js';
import type { ChannelEvent, EventType } from './types/index.js';

/** Reports whether an event has a type, and narrows its data: for handlers that get every event. */
export function isEvent<M = EventMap, T extends EventType<M> = EventType<M>>(
  event: ChannelEvent,
  type: T,
): event is ChannelEvent<T, M[T]> {
  return event.type === type;
}
