import type { Position } from './cursor.js';
import type { ServerFrame } from './frame.js';
import type { ChannelEvent, Signal } from './types/index.js';

/** The attributes that a gateway has seen to be text where they are there. */
interface Attributes {
  readonly type: string;
  readonly id?: string;
  readonly source?: string;
  readonly subject?: string;
  readonly time?: string;
  readonly data?: unknown;
}

/** The signal of a frame. */
export function signalOf({ channel = '', event: attributes = { type: '' } }: ServerFrame): Signal {
  const { type, data, source, subject } = attributes as Attributes;
  return { channel, type, data, source, subject, attributes };
}

/** The event of a frame, for a listener who has missed `skipped` before it. */
export function eventOf(f: ServerFrame, { cursor, stamp }: Position, skipped: number): ChannelEvent {
  const s = signalOf(f);
  const { id, time } = s.attributes as unknown as Attributes;
  return {
    ...s,
    cursor,
    skipped,
    id: id ?? `${s.channel}/${cursor}`,
    source: s.source ?? s.channel,
    time: time ?? new Date(stamp / 1000).toISOString(),
  };
}
