import { parseCursor, formatCursor } from './cursor.js';
import { channels, type ChannelRequest } from './decode.js';
import type { Exchange, Request } from './exchange.js';
import { serverFrames, type Failure, type Frame } from './frames.js';
import type { Hub } from './hub.js';
import type { HttpSession } from './visitors.js';
import { Session, type Outlet } from './session.js';
import type { Principal } from './tokens.js';

const maxChannels = 1000;
const maxWaitMs = 60_000;
const defaultWaitMs = 25_000;
const heartbeatMs = 15_000;

/** A channel of a poll: `members` is the version of the members that the client knows. */
interface PollChannel extends ChannelRequest {
  members?: string;
}

/** What a poll or an event stream asks for. */
interface Ask {
  session: string | undefined;
  channels: PollChannel[];
  present: { channel: string; status?: unknown }[];
  waitMs: number;
}

/** Reads what a request asks for, from its body or its query. */
export function readAsk(q: Request): Ask | Failure {
  const invalid = (message: string): Failure => ({ code: 'invalid_request', message });
  let ask: Ask & { cursors: string | undefined };
  try {
    ask = q.method === 'POST' ? fromBody(q.body) : fromQuery(q.query);
  } catch (error) {
    return invalid(error instanceof Error ? error.message : 'the body is not valid');
  }
  if (ask.channels.length === 0) return invalid('channels: is required');
  if (ask.channels.length > maxChannels) return invalid('channels: more than 1000');
  if (!(ask.waitMs >= 0 && ask.waitMs <= maxWaitMs)) return invalid('wait_ms: must be 0 to 60000');
  const composite = q.headers.get('last-event-id') ?? ask.cursors;
  if (composite) {
    const wins = q.headers.has('last-event-id');
    for (const part of composite.split(',')) {
      const [name, cursor] = part.split('@');
      const c = ask.channels.find((known) => known.channel === name);
      if (c && cursor && (wins || c.cursor === undefined)) c.cursor = cursor;
    }
  }
  return ask;
}

function fromBody(body: string): Ask & { cursors: string | undefined } {
  const root: unknown = JSON.parse(body);
  if (typeof root !== 'object' || root === null) throw new Error('the body must be an object');
  const r = root as Record<string, unknown>;
  const asked = channels(r['channels'] ?? []);
  return {
    session: typeof r['session'] === 'string' ? r['session'] : undefined,
    channels: asked.map((c, i) => {
      const known = (r['channels'] as { members?: unknown }[])[i]?.members;
      return typeof known === 'string' ? { ...c, members: known } : c;
    }),
    present: Array.isArray(r['present']) ? (r['present'] as { channel: string; status?: unknown }[]) : [],
    waitMs: typeof r['wait_ms'] === 'number' ? r['wait_ms'] : defaultWaitMs,
    cursors: typeof r['cursors'] === 'string' ? r['cursors'] : undefined,
  };
}

function fromQuery(query: URLSearchParams): Ask & { cursors: string | undefined } {
  return {
    session: query.get('session') ?? undefined,
    channels: query.getAll('channel').map((text) => {
      const at = text.indexOf('@');
      if (at < 0) return { channel: text };
      const position = text.slice(at + 1);
      const channel = text.slice(0, at);
      return position === '0' || parseCursor(position) ? { channel, cursor: position } : { channel, since: position };
    }),
    present: [],
    waitMs: Number(query.get('wait_ms') ?? defaultWaitMs),
    cursors: query.get('cursors') ?? undefined,
  };
}

/** The cursors of all channels of a session in one text. */
function composite(s: Session): string {
  return s.channels.map((c) => `${c}@${formatCursor(s.position(c) ?? { offset: 0, stamp: 0 })}`).join(',');
}

/** Answers POST and GET /v1/poll. */
export function poll(hub: Hub, exchange: Exchange, q: Request, who: Principal, visitor: HttpSession, ask: Ask): void {
  let session: Session | undefined;
  let waiting: ReturnType<typeof setTimeout> | undefined;
  const frames: Frame[] = [];
  const dirty = new Set<string>();
  let draining = false;
  const finish = (): void => {
    if (!session || exchange.over) return;
    for (const channel of dirty) frames.push(serverFrames.members(undefined, channel, hub.roster.page(channel)));
    const next = session.channels.map((channel) => {
      const c = ask.channels.find((known) => known.channel === channel);
      const cursor = formatCursor(session?.position(channel) ?? { offset: 0, stamp: 0 });
      const presence = c?.presence ? { presence: true, members: String(hub.roster.version(channel)) } : {};
      return { channel, cursor, ...presence };
    });
    const tag = composite(session);
    session.end();
    const etag = `"${tag}"`;
    if (frames.length === 0 && ask.waitMs === 0 && q.headers.get('if-none-match') === etag) {
      exchange.answer(304, null, { ETag: etag });
      return;
    }
    const last = serverFrames.next({ channels: next, cursors: tag, more: false, degraded: hub.degraded !== undefined });
    exchange.json([...hub.network.surviving(frames), last], { ETag: etag, ...(draining ? { Connection: 'close' } : {}) });
  };
  const outlet: Outlet = {
    write: (more) => {
      frames.push(...more);
      draining ||= more.some((f) => f.type === 'moving');
      finish();
    },
    close: () => finish(),
    cut: (silent) => breakOff(exchange, silent),
  };
  session = new Session(hub, 'poll', visitor.id, who, outlet);
  session.onMembers = (channel) => {
    dirty.add(channel);
    void Promise.resolve().then(finish);
  };
  exchange.onOver(() => {
    clearTimeout(waiting);
    session?.end();
    hub.outlets.delete(outlet);
    visitor.polling(undefined);
  });
  hub.outlets.add(outlet);
  visitor.polling(outlet);
  visitor.heartbeat(ask.present);
  const failures: Failure[] = [];
  for (const c of ask.channels) {
    const failure = session.subscribe(undefined, c, 'when-moved');
    if (failure) failures.push({ ...failure, channel: c.channel });
    else if (c.presence && c.members !== String(hub.roster.version(c.channel))) dirty.add(c.channel);
  }
  const [first] = failures;
  if (first && failures.length === ask.channels.length) {
    session.end();
    exchange.problem(first);
  } else if (dirty.size > 0) {
    session.flush(); // which finishes, if there is something
    finish();
  } else if (ask.waitMs === 0) {
    session.flush();
    finish();
  } else {
    session.flush();
    if (!exchange.over) waiting = setTimeout(finish, ask.waitMs);
  }
}

/** Answers GET and POST /v1/sse. */
export function stream(hub: Hub, exchange: Exchange, who: Principal, visitor: HttpSession, ask: Ask): void {
  let beat: ReturnType<typeof setInterval> | undefined;
  let expiry: ReturnType<typeof setTimeout> | undefined;
  let session: Session | undefined;
  const outlet: Outlet = {
    write: (frames) => {
      const left = hub.network.surviving(frames);
      if (session && left.length > 0) exchange.write(`id: ${composite(session)}\ndata: ${JSON.stringify(left)}\n\n`);
    },
    close: () => {
      session?.end();
      exchange.finish();
    },
    cut: (silent) => breakOff(exchange, silent),
  };
  session = new Session(hub, 'sse', visitor.id, who, outlet);
  hub.outlets.add(outlet);
  exchange.onOver(() => {
    clearInterval(beat);
    clearTimeout(expiry);
    session?.end();
    hub.outlets.delete(outlet);
    hub.changed();
  });
  exchange.open({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  exchange.write('retry: 1000\n\n');
  const { gateway, pingMs } = hub.options;
  const expires = Number.isFinite(who.expires) ? Math.floor(who.expires / 1000) : undefined;
  session.send(serverFrames.connected(undefined, { session: visitor.id, user: who.user, gateway, pingMs, expires }));
  const { degraded } = hub;
  if (degraded) session.send(serverFrames.degraded(true, degraded.reason, degraded.sinceMs));
  for (const c of ask.channels) session.subscribe(undefined, c, 'always');
  beat = setInterval(() => exchange.write(':\n\n'), heartbeatMs);
  const left = who.expires - hub.now();
  if (left < 2 ** 31) {
    expiry = setTimeout(() => session?.expel({ code: 'token_expired', message: 'the token has expired' }, 4401), left);
  }
}

function breakOff(exchange: Exchange, silent: boolean): void {
  if (silent) exchange.vanish();
  else exchange.break(new TypeError('network error'));
}
