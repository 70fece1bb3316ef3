import type { Position } from './cursor.js';
import type { TallywireError } from './error.js';
import type { Listeners } from './store.js';
import type { ChannelEvent, SubscribeOptions, SubscriptionPhase, SubscriptionState } from './types/index.js';

/** One subscriber of a channel. */
export interface Listener {
  /** The last event whose handlers have run; undefined until the first answer. */
  pos?: Position | undefined;
  /** Where it wants to begin while it has no position: a time, or else now. */
  readonly since: string | undefined;
  /** Events left out on purpose since the last one delivered. */
  skipped: number;
  /** The head at the last reset, until it is reached. */
  resetting?: Position | undefined;
  error?: TallywireError | undefined;
  closed: boolean;
  state: SubscriptionState;
  readonly changed: Listeners;
  onEvent(event: ChannelEvent): unknown;
  /** Where it says what to do with what is no event. */
  readonly options: SubscribeOptions;
}

/** The state to show; the same object while nothing has changed. */
export function stateOf(l: Listener, live: boolean, head: Position | undefined): SubscriptionState {
  if (l.resetting && l.pos && l.pos.offset >= l.resetting.offset) l.resetting = undefined;
  const phase: SubscriptionPhase = l.error ? 'failed' : !live || !l.pos ? 'pending' : l.resetting ? 'resetting' : 'live';
  const newest = head && l.pos && head.offset < l.pos.offset ? l.pos : head;
  const s = l.state;
  if (s.phase !== phase || s.cursor !== l.pos?.cursor || s.head !== newest?.cursor || s.error !== l.error) {
    l.state = { phase, cursor: l.pos?.cursor, head: newest?.cursor, error: l.error };
  }
  return l.state;
}
