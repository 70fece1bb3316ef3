import type { ChannelEvent, EventHandler, HandlerMap } from './types/index.js';

/** Gives an event to the handler that takes it: of its type, or `'*'`, where there are several. */
export function dispatch<M>(handlers: EventHandler | HandlerMap<M>, event: ChannelEvent): unknown {
  if (typeof handlers === 'function') return handlers(event);
  const by = handlers as Readonly<Record<string, EventHandler | undefined>>;
  return ((Object.hasOwn(by, event.type) && by[event.type]) || by['*'])?.(event);
}
