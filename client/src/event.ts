import type { Position } from './cursor.js';
import type { ServerFrame } from './frame.js';
import type { ChannelEvent, Signal } from './types/index.js';

const text = (v: unknown) => (typeof v === 'string' ? v : undefined);

/** The event of a frame, for a listener who has missed `skipped` before it. */
export function eventOf(f: ServerFrame, at: Position, skipped: number): ChannelEvent {
  const s = signalOf(f);
  const { channel, attributes: e } = s;
  return {
    ...s,
    cursor: at.cursor,
    skipped,
    id: text(e['id']) ?? `${channel}/${at.cursor}`,
    source: s.source ?? channel,
    time: text(e['time']) ?? new Date(at.stamp / 1000).toISOString(),
  };
}

/** The signal of a frame. */
export function signalOf(f: ServerFrame): Signal {
  const e = f.event ?? { type: '' };
  return {
    channel: f.channel ?? '',
    type: String(e.type),
    data: e['data'],
    source: text(e['source']),
    subject: text(e['subject']),
    attributes: e,
  };
}
