import type { ErrorCode, Failure, FrameId } from './frames.js';

/** One channel of a `subscribe`, an `unsubscribe` or a poll. */
export interface ChannelRequest {
  channel: string;
  cursor?: string;
  since?: string;
  presence?: boolean;
  /** Of a poll: the version of the members that the client has. */
  members?: number;
}

/** A frame from a client, with the fields that a gateway reads. */
export interface ClientFrame {
  type: string;
  id?: FrameId;
  token?: string;
  session?: string;
  channel?: string;
  channels?: ChannelRequest[];
  event?: unknown;
  status?: unknown;
  ack?: string;
  after?: string;
  limit?: number;
  leave?: boolean;
}

/** A frame, or what is wrong with it. The id is read either way, for the answer. */
export type Decoded = { frame: ClientFrame; error?: undefined } | { frame: { id?: FrameId }; error: Failure };

const maxFrames = 256;
const maxNesting = 64;
const maxIdBytes = 64;

/**
 * Reads a client's message as a gateway does: one frame or an array of them, the last of two members of a name
 * counts, `null` stands for an absent member, and a bad frame of an array does not keep the others back.
 */
export function decodeMessage(text: string): Decoded[] {
  let root: unknown;
  try {
    root = tooDeep(text) ? undefined : JSON.parse(text);
  } catch {
    root = undefined;
  }
  if (root === undefined) return [broken('the message is not valid JSON')];
  if (Array.isArray(root)) {
    const frames = elements(text);
    const out = frames.slice(0, maxFrames).map(decodeFrame);
    return frames.length > maxFrames ? [...out, broken('too many frames in one message')] : out;
  }
  if (typeof root === 'object' && root !== null) return [decodeFrame(text)];
  return [broken('a message is a frame object or an array of them')];
}

function broken(message: string): Decoded {
  return { frame: {}, error: { code: 'invalid_frame', message } };
}

/** Carries a failure out of the reading of a field. */
export class Bad extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

function bad(path: string, rule: string, code: ErrorCode = 'invalid_frame'): Bad {
  return new Bad({ code, message: `${path.slice(1).replaceAll('/', '.')}: ${rule}`, path });
}

function decodeFrame(text: string): Decoded {
  const out: Partial<ClientFrame> = {};
  if (!text.trimStart().startsWith('{')) return broken('a frame is a JSON object');
  const short: Omit<ChannelRequest, 'channel'> = {};
  let first: Failure | undefined;
  for (const [name, raw] of members(text)) {
    if (first && name !== 'id') continue;
    try {
      setField(out, short, name, raw);
    } catch (error) {
      if (!(error instanceof Bad)) throw error;
      first ??= error.failure;
    }
  }
  const id = out.id === undefined ? {} : { id: out.id };
  if (first) return { frame: id, error: first };
  const { type } = out;
  if (type === undefined || type === '') {
    return { frame: id, error: { code: 'invalid_frame', message: 'type: is required', path: '/type' } };
  }
  const frame: ClientFrame = { ...out, type };
  const failure = foldChannel(frame, short);
  return failure ? { frame: id, error: failure } : { frame };
}

/** Turns the short form of subscribe and unsubscribe, with one `channel`, into the list. */
function foldChannel(frame: ClientFrame, short: Omit<ChannelRequest, 'channel'>): Failure | undefined {
  if (frame.type !== 'subscribe' && frame.type !== 'unsubscribe') return undefined;
  if (frame.channels) delete frame.channel;
  else if (frame.channel) frame.channels = [{ channel: frame.channel, ...short }];
  if (frame.channels?.length) return undefined;
  return { code: 'invalid_frame', message: 'channels: is required', path: '/channels' };
}

function setField(out: Partial<ClientFrame>, short: Omit<ChannelRequest, 'channel'>, name: string, raw: string): void {
  const value: unknown = JSON.parse(raw);
  if (name === 'event') out.event = value;
  if (name === 'status') out.status = value;
  if (value === null) return;
  const path = `/${name}`;
  switch (name) {
    case 'id':
      if (typeof value !== 'number' && typeof value !== 'string') throw bad(path, 'must be a number or a string');
      if (bytes(raw) > maxIdBytes) throw bad(path, 'is longer than 64 bytes');
      out.id = value;
      break;
    case 'type':
      out.type = string(value, path, 32);
      break;
    case 'channel':
      out.channel = string(value, path, Infinity);
      break;
    case 'channels':
      out.channels = channels(value);
      break;
    case 'token':
    case 'after':
      out[name] = string(value, path, 16 << 10);
      break;
    case 'session':
      out.session = string(value, path, 128);
      break;
    case 'ack':
      out.ack = string(value, path, 16);
      break;
    case 'cursor':
    case 'since':
      short[name] = string(value, path, 64);
      break;
    case 'presence':
      short.presence = boolean(value, path);
      break;
    case 'leave':
      out.leave = boolean(value, path);
      break;
    case 'limit':
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 1000) {
        throw bad(path, 'must be a number from 1 to 1000');
      }
      out.limit = value;
      break;
  }
}

/** Reads the `channels` of a frame, which may be names alone, or of a poll. */
export function channels(value: unknown, names = true): ChannelRequest[] {
  if (!Array.isArray(value)) throw bad('/channels', 'must be an array');
  return value.map((item: unknown, i) => {
    const path = `/channels/${i}`;
    if (typeof item === 'string' && names) return { channel: item };
    if (typeof item !== 'object' || item === null) throw bad(path, 'must be a name or an object');
    const { channel, cursor, since, presence } = item as Record<string, unknown>;
    const out: ChannelRequest = { channel: string(channel ?? '', `${path}/channel`, Infinity) };
    if (cursor != null) out.cursor = string(cursor, `${path}/cursor`, 64);
    if (since != null) out.since = string(since, `${path}/since`, 64);
    if (presence != null) out.presence = boolean(presence, `${path}/presence`);
    return out;
  });
}

function string(value: unknown, path: string, max: number): string {
  if (typeof value !== 'string') throw bad(path, 'must be a string');
  const clean = value.replace(/\p{Surrogate}/gu, '\ufffd');
  if (bytes(clean) > max) throw bad(path, `is longer than ${max} bytes`);
  return clean;
}

function boolean(value: unknown, path: string): boolean {
  if (typeof value !== 'boolean') throw bad(path, 'must be true or false');
  return value;
}

function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

function tooDeep(text: string): boolean {
  let depth = 0;
  let deepest = 0;
  scan(text, (c) => {
    if (c === '{' || c === '[') deepest = Math.max(deepest, ++depth);
    else if (c === '}' || c === ']') depth--;
  });
  return deepest > maxNesting;
}

/** Calls visit for every character outside of strings. */
function scan(text: string, visit: (c: string, i: number) => void): void {
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (inString) {
      if (c === '\\') i++;
      else if (c === '"') inString = false;
    } else if (c === '"') inString = true;
    else visit(c, i);
  }
}

/** Splits a valid JSON object or array into the texts between its commas. */
function elements(text: string): string[] {
  const out: string[] = [];
  let depth = 0;
  let start = 0;
  scan(text, (c, i) => {
    if (c === '{' || c === '[') {
      if (++depth === 1) start = i + 1;
    } else if (c === '}' || c === ']') {
      if (--depth === 0) out.push(text.slice(start, i));
    } else if (c === ',' && depth === 1) {
      out.push(text.slice(start, i));
      start = i + 1;
    }
  });
  return out.length === 1 && out[0]?.trim() === '' ? [] : out;
}

/** The members of a valid JSON object in order, also those whose name occurs again; values are raw JSON. */
function members(text: string): [name: string, raw: string][] {
  return elements(text).map((element) => {
    let colon = -1;
    scan(element, (c, i) => {
      if (c === ':' && colon < 0) colon = i;
    });
    return [JSON.parse(element.slice(0, colon)) as string, element.slice(colon + 1).trim()];
  });
}
