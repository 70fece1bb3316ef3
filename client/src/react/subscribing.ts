import type { RefObject } from 'react';
import type { ChannelEvent, HandlerMap, Reset, Signal, SubscribeOptions } from '../types/index.js';
import type { TallywireError } from '../error.js';
import type { Events } from './register.js';
import type { FromOption, SkipOption } from './types.js';

/** What a hook that subscribes takes. All callbacks may be written inline: the newest one is called. */
export interface SubscribingOptions extends SkipOption, FromOption {
  /** Events may be missing: reload what is shown. */
  onReset?: ((reset: Reset) => void) | undefined;
  onSignal?: ((signal: Signal) => void) | undefined;
  /** The gateway refuses the channel. Without it, the client's `error` listeners are told. */
  onError?: ((error: TallywireError) => void) | undefined;
}

/** What the core is given: it asks for the newest callback each time. */
export function subscribeOptions(newest: RefObject<SubscribingOptions>): SubscribeOptions {
  const { from, onError } = newest.current;
  return {
    ...(from !== undefined && { from }),
    onReset: (reset) => newest.current.onReset?.(reset),
    onSignal: (signal) => newest.current.onSignal?.(signal),
    ...(onError && { onError: (error: TallywireError) => newest.current.onError?.(error) }),
  };
}

/** A handler for everything, or handlers by type; `'*'` takes what has none. */
export type Handlers = ((event: ChannelEvent) => unknown) | HandlerMap<Events>;

/** Tells beginnings apart. */
export const fromKey = ({ from }: FromOption): string | undefined => JSON.stringify(from);
