import type { Ack, Cursor, Member } from './types/index.js';

/** An event's attributes on the wire. */
export type WireEvent = Readonly<Record<string, unknown>> & { readonly type: string };

/** Any frame that a gateway sends. Which fields are there depends on the type; nothing is taken for granted. */
export interface ServerFrame {
  readonly type: string;
  id?: number | string | undefined;
  readonly channel?: string;
  readonly cursor?: Cursor;
  readonly head?: Cursor;
  readonly resumed?: boolean;
  readonly event?: WireEvent;
  readonly skipped?: number;
  readonly reason?: string;
  readonly code?: string;
  readonly message?: string;
  readonly retry?: boolean;
  readonly path?: string;
  readonly ack?: Ack;
  readonly duplicate?: boolean;
  readonly session?: string;
  readonly user?: string;
  readonly gateway?: string;
  readonly ping_ms?: number;
  readonly expires?: number;
  readonly after_ms?: number;
  readonly degraded?: boolean;
  readonly version?: number;
  readonly prev?: number;
  readonly count?: number;
  readonly sessions?: number;
  readonly members?: readonly Member[];
  readonly member?: Member;
  readonly action?: string;
  readonly next?: string;
  readonly stale_since_ms?: number;
  /** Of `next`, which ends the answer to a poll. */
  readonly channels?: readonly ChannelRequest[];
  /** Of `connected`, from another tab that shares its connection. */
  readonly transport?: string;
}

/** A channel as it is asked for. */
export interface ChannelRequest {
  readonly channel: string;
  readonly cursor?: Cursor | undefined;
  readonly since?: string | undefined;
  readonly presence?: boolean | undefined;
  /** What a poll knows of the members. */
  readonly members?: string | undefined;
}

/** A command. */
export interface ClientFrame {
  readonly type: string;
  readonly id?: number;
  readonly channel?: string;
  readonly [field: string]: unknown;
}

/** Reads a server message: an array of frames. It throws where it is none. */
export function readFrames(text: string): ServerFrame[] {
  const frames: unknown = JSON.parse(text);
  if (!Array.isArray(frames)) throw new SyntaxError('no array of frames');
  return frames as ServerFrame[];
}

/** How many characters a message has at most, unless a frame alone has more: at three bytes each they are less than 72 KB. */
const MESSAGE_CHARS = 22_000;
const MESSAGE_FRAMES = 256;

/** Takes from the front of a queue what fits into one message. */
export function takeMessage(queue: ClientFrame[]): ClientFrame[] {
  let chars = 0;
  let n = 0;
  while (n < queue.length && n < MESSAGE_FRAMES) {
    chars += JSON.stringify(queue[n]).length;
    if (n > 0 && chars > MESSAGE_CHARS) break;
    n++;
  }
  return queue.splice(0, n);
}
