import { claims } from '../claims.js';
import { refusal, TallywireError } from '../error.js';
import type { ServerFrame } from '../frame.js';
import type { Commands } from './commands.js';
import { commands } from './commands.js';
import type { Link, LinkHandler, LinkOptions } from './link.js';
import type { Asked, Positions } from './positions.js';
import { positions, refusesAll } from './positions.js';

/** The downstream of a link over HTTP. */
export interface Feed {
  /** Other channels are wanted, or another token is to be used. */
  changed(): void;
  /** The gateway ends: goes on at another one by then. */
  moving(afterMs: number): void;
  probe(): void;
  close(): void;
}

/** What SSE and polling have in common. */
export interface HttpLink {
  readonly link: Link;
  readonly feed: Feed;
  readonly positions: Positions;
  /** The options with the newest token. */
  options(): LinkOptions;
  ended(): boolean;
  end(error: TallywireError): void;
  /** There is no channel to feed: the commands alone show that the gateway is there. */
  idle(): void;
  /** Hands frames on; returns the error that says why the feed is about to end, if there is one. */
  take(frames: readonly ServerFrame[], asked: Asked): TallywireError | undefined;
  /** Tells the channels that all of them were refused; false where that is not what the error says. */
  refusedAll(error: TallywireError, asked: Asked): boolean;
}

/** Makes a link whose commands go to /v1/commands. It begins with the channels that are asked for at once. */
export function httpLink(name: 'sse' | 'poll', o: LinkOptions, on: LinkHandler, feed: Feed): HttpLink {
  if (!o.fetch) throw new TallywireError('invalid_argument', 'no fetch here: pass one in the options');
  const wanted = positions();
  let token = o.token;
  let up = false;
  let fed = false;
  let ended = false;
  let checking = false;

  const upstream: Commands = commands(o, () => token, {
    frames: (frames) => on.frames(frames),
    rtt: (ms) => on.rtt(ms),
    failed: (error) => end(error),
  });

  function close(): void {
    ended = true;
    feed.close();
    upstream.close();
  }

  function end(error: TallywireError): void {
    if (ended) return;
    close();
    on.down(error);
  }

  function open(f: ServerFrame): void {
    if (up) return;
    up = true;
    on.open(f);
    if (!ended) upstream.keepAlive();
  }

  /** What a gateway says that takes a connection, where it says nothing but an answer. */
  function taken(): ServerFrame {
    const { sub } = claims(token);
    return { type: 'connected', session: o.session, ...(typeof sub === 'string' && { user: sub }) };
  }

  function idle(): void {
    if (up || checking) return;
    checking = true;
    upstream.ping().then(
      () => {
        if (!ended) open(taken());
      },
      (error: TallywireError) => end(error),
    );
  }

  function take(frames: readonly ServerFrame[], asked: Asked): TallywireError | undefined {
    fed = true;
    const connected = frames.find((f) => f.type === 'connected');
    const again = up;
    open(connected ?? taken());
    const moving = frames.find((f) => f.type === 'moving');
    if (moving) feed.moving(moving.after_ms ?? 0);
    const rest = wanted.take(frames, asked).filter((f) => !/^(connected|next|moving)$/.test(f.type));
    // A later stream has a later token.
    if (connected && again) rest.unshift({ ...connected, type: 'refreshed', id: undefined });
    if (rest.length > 0 && !ended) on.frames(rest);
    const last = rest.find((f) => f.type === 'error' && f.channel === undefined);
    return last && refusal(last);
  }

  function refusedAll(error: TallywireError, asked: Asked): boolean {
    if (!refusesAll(error)) return false;
    fed = true;
    open(taken());
    const { code, message, retry } = error;
    const frames = asked.channels.map(({ channel }) => ({ type: 'error', channel, code, message, retry }));
    on.frames(wanted.take(frames, asked));
    return true;
  }

  // What is asked for at once has begun by then.
  queueMicrotask(() => {
    if (!ended && wanted.size() === 0) feed.changed();
  });

  const link: Link = {
    name,
    proven: () => fed,
    subscribe(id, channels) {
      wanted.ask(id, channels);
      feed.changed();
    },
    unsubscribe(channels) {
      wanted.drop(channels);
      feed.changed();
    },
    send: (frames) => upstream.send(frames),
    refresh(_id, fresh) {
      token = fresh;
      feed.changed();
    },
    probe: () => feed.probe(),
    close,
  };
  return {
    link,
    feed,
    positions: wanted,
    options: () => ({ ...o, token }),
    ended: () => ended,
    end,
    idle,
    take,
    refusedAll,
  };
}
