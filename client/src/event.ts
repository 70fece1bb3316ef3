import type { Position } from './cursor.js';
import type { ServerFrame } from './frame.js';
import type { ChannelEvent, Signal } from './types/index.js';

const text = (v: unknown) => (typeof v === 'string' ? v : undefined);

/** The event of a frame, for a listener who has missed `skipped` before it. */
export function eventOf(f: ServerFrame, at: Position, skipped: number): ChannelEvent {
  const channel = f.channel ?? '';
  const e = f.event ?? { type: '' };
  return {
    channel,
    cursor: at.cursor,
    skipped,
    type: String(e.type),
    data: e['data'],
    id: text(e['id']) ?? `${channel}/${at.cursor}`,
    source: text(e['source']) ?? channel,
    subject: text(e['subject']),
    time: text(e['time']) ?? new Date(at.stamp / 1000).toISOString(),
    attributes: e,
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
