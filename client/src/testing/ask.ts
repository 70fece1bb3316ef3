import { parseCursor, formatCursor } from './cursor.js';
import { Bad, channels, type ChannelRequest } from './decode.js';
import type { Request } from './exchange.js';
import type { Failure } from './frames.js';
import type { Session } from './session.js';

const maxChannels = 1000;
const maxWaitMs = 60_000;
const defaultWaitMs = 25_000;

/** What a poll or an event stream asks for. */
export interface Ask {
  readonly session: string | undefined;
  readonly channels: ChannelRequest[];
  readonly present: readonly { channel: string; status?: unknown }[];
  readonly waitMs: number;
}

interface Raw extends Ask {
  readonly cursors: string | undefined;
}

/** Reads what a request asks for, from its body or its query. */
export function readAsk(q: Request): Ask | Failure {
  let ask: Raw;
  try {
    ask = q.method === 'POST' ? fromBody(q.body) : fromQuery(q.query);
  } catch (error) {
    if (error instanceof Bad) return { ...error.failure, code: 'invalid_request', path: '/channels' };
    return { code: 'invalid_request', message: 'the request body is not a JSON object' };
  }
  const problem = check(q, ask);
  if (problem) {
    const { path, rule, channel } = problem;
    return { code: 'invalid_request', message: `${path.slice(1)}: ${rule}`, path, channel };
  }
  const last = q.path.endsWith('/sse') ? q.headers.get('last-event-id') : null;
  for (const [text, wins] of [[ask.cursors, false], [last, true]] as const) {
    if (text && !locate(ask.channels, text, wins)) {
      return { code: 'invalid_cursor', message: 'is not a composite of cursors of these channels', path: '/cursors' };
    }
  }
  return ask;
}

/** What makes a request useless, if anything. */
function check(q: Request, ask: Raw): { path: string; rule: string; channel?: string | undefined } | undefined {
  const names = ask.channels.map((c) => c.channel);
  if (names.length === 0) return { path: '/channels', rule: 'at least one is required' };
  if (names.length > maxChannels) return { path: '/channels', rule: 'more than 1000' };
  if (!(ask.waitMs >= 0 && ask.waitMs <= maxWaitMs)) return { path: '/wait_ms', rule: 'must be from 0 to 60000' };
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) return { path: '/channels', rule: 'one is named twice', channel: twice };
  if (ask.present.length === 0) return undefined;
  if (q.path.endsWith('/sse')) return { path: '/present', rule: "is a poll's; send `presence` to /v1/commands" };
  return ask.session ? undefined : { path: '/session', rule: 'is required for presence' };
}

function fromBody(body: string): Raw {
  const root = JSON.parse(body) as Record<string, unknown> & { channels?: { members?: unknown }[]; present?: Ask['present'] };
  return {
    session: typeof root['session'] === 'string' ? root['session'] : undefined,
    channels: channels(root.channels ?? [], false).map((c, i) => {
      const known = root.channels?.[i]?.members;
      return typeof known === 'number' ? { ...c, members: known } : c;
    }),
    present: root.present ?? [],
    waitMs: typeof root['wait_ms'] === 'number' ? root['wait_ms'] : defaultWaitMs,
    cursors: typeof root['cursors'] === 'string' ? root['cursors'] : undefined,
  };
}

function fromQuery(query: URLSearchParams): Raw {
  const watched = query.getAll('presence');
  return {
    session: query.get('session') ?? undefined,
    channels: query.getAll('channel').map((text) => {
      const [channel = '', ...rest] = text.split('@');
      const at = rest.join('@');
      const presence = watched.includes(channel) ? { presence: true } : {};
      if (at === '') return { channel, ...presence };
      return /[T:]/.test(at) ? { channel, since: at, ...presence } : { channel, cursor: at, ...presence };
    }),
    present: [],
    waitMs: Number(query.get('wait_ms') ?? defaultWaitMs),
    cursors: query.get('cursors') ?? undefined,
  };
}

/** The cursors of all channels of a session in one text, which means nothing to clients. */
export function composite(s: Session): string {
  const places = [...s.channels].sort().map((c) => `${c}@${formatCursor(s.position(c) ?? { offset: 0, stamp: 0 })}`);
  return btoa(places.join(',')).replace(/=+$/, '');
}

/** Gives channels the cursors of a composite; false where it is not one of them. */
function locate(asked: readonly ChannelRequest[], text: string, wins: boolean): boolean {
  let places: string[];
  try {
    places = atob(text).split(',');
  } catch {
    return false;
  }
  return places.every((place) => {
    const [name, cursor = ''] = place.split('@');
    const c = asked.find((known) => known.channel === name);
    if (!c || !parseCursor(cursor)) return false;
    if (wins || (c.cursor === undefined && c.since === undefined)) c.cursor = cursor;
    return true;
  });
}
