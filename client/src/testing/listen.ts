import { composite, type Ask } from './ask.js';
import type { Exchange, Request } from './exchange.js';
import { serverFrames, type Failure, type Frame } from './frames.js';
import type { Hub } from './hub.js';
import { Session, type Outlet } from './session.js';
import type { Principal } from './tokens.js';
import type { HttpSession } from './visitors.js';

const heartbeatMs = 15_000;

/** What a poll or an event stream needs to be answered. */
export interface Listener {
  readonly hub: Hub;
  readonly exchange: Exchange;
  readonly request: Request;
  readonly who: Principal;
  readonly visitor: HttpSession;
  readonly ask: Ask;
}

/** Answers POST and GET /v1/poll: with what there is, or with the first thing that comes. */
export function poll(l: Listener): void {
  new Poll(l).begin();
}

/** One poll under way. Its session takes one message, and that ends it. */
class Poll implements Outlet {
  #frames: Frame[] = [];
  #draining = false;
  #waiting: ReturnType<typeof setTimeout> | undefined;
  readonly #session: Session;

  constructor(private readonly l: Listener) {
    const { hub, exchange, visitor } = l;
    this.#session = new Session(hub, 'poll', visitor.id, l.who, this);
    hub.outlets.add(this);
    visitor.polling(this);
    exchange.onOver(() => {
      clearTimeout(this.#waiting);
      this.#session.end();
      hub.outlets.delete(this);
      visitor.pollEnded(this);
    });
  }

  begin(): void {
    const { ask, exchange, visitor } = this.l;
    this.#frames.push(...visitor.heartbeat(ask.present));
    const failures: Failure[] = [];
    for (const [i, c] of ask.channels.entries()) {
      const failure = this.#session.subscribe(undefined, c, 'when-moved', `/channels/${i}`);
      if (failure) failures.push(failure);
    }
    const [first] = failures;
    if (first && failures.length === ask.channels.length) {
      this.#session.end();
      exchange.problem(first);
      return;
    }
    this.#session.flush(); // which finishes, if there is something
    if (this.#frames.length > 0 || ask.waitMs === 0) this.#finish();
    else this.#waiting = setTimeout(() => this.#finish(), ask.waitMs);
  }

  write(frames: readonly Frame[]): void {
    this.#frames.push(...frames);
    this.#draining ||= frames.some((f) => f.type === 'moving');
    this.#finish();
  }

  close(): void {
    this.write([serverFrames.moving(0)]);
  }

  cut(silent: boolean): void {
    breakOff(this.l.exchange, silent);
  }

  #finish(): void {
    const { hub, exchange, request, ask } = this.l;
    if (this.#session.ended || exchange.over) return;
    const session = this.#session;
    const channels = ask.channels
      .filter((c) => session.position(c.channel))
      .sort((a, b) => (a.channel < b.channel ? -1 : 1))
      .map(({ channel, presence = false }) => {
        const members = presence ? hub.roster.version(channel) : undefined;
        return { channel, cursor: session.position(channel), presence, members };
      });
    const cursors = composite(session);
    session.end();
    const headers: Record<string, string> = { 'Cache-Control': 'no-store' };
    if (ask.waitMs === 0) {
      headers['ETag'] = `"${cursors}"`;
      headers['Cache-Control'] = 'private, no-cache';
      if (request.headers.get('if-none-match') === headers['ETag'] && this.#frames.length === 0) {
        exchange.answer(304, null, headers);
        return;
      }
    }
    if (this.#draining) headers['Connection'] = 'close';
    const last = serverFrames.next({ channels, cursors, more: false, degraded: hub.degraded !== undefined });
    exchange.json([...hub.network.surviving(this.#frames), last], headers);
  }
}

/** Answers GET and POST /v1/sse: with a stream that lasts until it is ended. */
export function stream({ hub, exchange, who, visitor, ask }: Listener): void {
  const outlet: Outlet = {
    write: (frames) => {
      const left = hub.network.surviving(frames);
      if (left.length > 0) exchange.write(`id: ${composite(session)}\ndata: ${JSON.stringify(left)}\n\n`);
    },
    close: () => {
      session.end();
      exchange.finish();
    },
    cut: (silent) => breakOff(exchange, silent),
  };
  const session = new Session(hub, 'sse', visitor.id, who, outlet);
  hub.outlets.add(outlet);
  exchange.open({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  exchange.write('retry: 1000\n\n');
  session.welcome(undefined);
  for (const [i, c] of ask.channels.entries()) session.subscribe(undefined, c, 'always', `/channels/${i}`);
  const beat = setInterval(() => exchange.write(':\n\n'), heartbeatMs);
  const left = who.expires - hub.now();
  const expiry = left < 2 ** 31 ? setTimeout(() => session.expel(expired, 4401), left) : undefined;
  exchange.onOver(() => {
    clearInterval(beat);
    clearTimeout(expiry);
    session.end();
    hub.outlets.delete(outlet);
    hub.changed();
  });
}

/** Why a session ends with its token. */
export const expired: Failure = { code: 'token_expired', message: 'the token has expired' };

function breakOff(exchange: Exchange, silent: boolean): void {
  if (silent) exchange.vanish();
  else exchange.break(new TypeError('network error'));
}
