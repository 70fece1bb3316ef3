import type { ChannelRequest, ServerFrame } from '../frame.js';

/** What a request over HTTP asks for, and which asks it answers. */
export interface Asked {
  readonly channels: readonly ChannelRequest[];
  readonly ids: ReadonlyMap<string, number>;
}

/**
 * The channels of a link over HTTP with the cursors that were received: each request names all of them. It
 * makes answers look like those of a WebSocket.
 */
export interface Positions {
  ask(id: number, channels: readonly ChannelRequest[]): void;
  drop(channels: readonly string[]): void;
  /** What the next request asks for. */
  request(): Asked;
  /** Takes an answer's frames and returns those that the client is to see. */
  take(frames: readonly ServerFrame[], asked: Asked): ServerFrame[];
  /** Takes over what a poll says to ask for next. */
  next(channels: readonly ChannelRequest[]): void;
  /** The ids of channels that have not been answered. */
  readonly pending: ReadonlyMap<string, number>;
  size(): number;
}

export function positions(): Positions {
  const want = new Map<string, ChannelRequest>();
  const pending = new Map<string, number>();

  function drop(channels: readonly string[]): void {
    for (const channel of channels) {
      want.delete(channel);
      pending.delete(channel);
    }
  }

  /** Notes where a frame leaves its channel; an ask that is not answered yet has the last word. */
  function move(f: ServerFrame): void {
    const w = want.get(f.channel ?? '');
    if (!w || !f.cursor || pending.has(w.channel) || !/^(event|skip|reset|subscribed)$/.test(f.type)) return;
    want.set(w.channel, { ...w, cursor: f.cursor, since: undefined });
  }

  return {
    ask(id, channels) {
      for (const c of channels) {
        want.set(c.channel, c);
        pending.set(c.channel, id);
      }
    },
    drop,
    request: () => ({ channels: [...want.values()], ids: new Map(pending) }),
    take(frames, asked) {
      return frames.filter((f) => {
        const { channel } = f;
        const refused = f.type === 'error' && channel !== undefined && !f.path?.startsWith('/presence');
        const id = channel === undefined ? undefined : asked.ids.get(channel);
        const answers = channel !== undefined && id !== undefined && pending.get(channel) === id;
        if ((refused || f.type === 'subscribed') && answers) {
          f.id = id;
          pending.delete(channel);
        } else if (f.type === 'subscribed') return false; // the link went on from where it was
        if (refused) drop([channel]);
        move(f);
        return true;
      });
    },
    next(channels) {
      for (const c of channels) {
        if (want.has(c.channel) && !pending.has(c.channel)) want.set(c.channel, { ...want.get(c.channel), ...c, since: undefined });
      }
    },
    pending,
    size: () => want.size,
  };
}

/** Whether an error refuses every channel that was asked for: then it names the first. */
export function refusesAll(error: { channel: string | undefined; status: number | undefined }): boolean {
  return error.channel !== undefined && error.status !== 401;
}
