import { Exchange, kindOf, networkError, type Request } from './exchange.js';
import type { Failure } from './frames.js';
import type { Hub } from './hub.js';
import { readAsk } from './ask.js';
import { poll, stream } from './listen.js';
import { HttpSession } from './visitors.js';
import { isPrincipal, type Principal } from './tokens.js';

/** The server's HTTP side: what `server.fetch` talks to. */
export class HttpServer {
  #visitors = new Map<string, HttpSession>();
  #cookie: string | undefined;
  readonly #hub: Hub;

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  /** `fetch` to the server; it fits where the global one does. */
  readonly fetch: typeof globalThis.fetch = (input, init) => {
    const exchange = new Exchange(this.#hub, init?.signal);
    const url = new URL(typeof input === 'object' && 'url' in input ? input.url : String(input), this.#hub.options.url);
    const base = new URL(this.#hub.options.url);
    const path = url.pathname.slice(base.pathname.replace(/\/$/, '').length);
    const up = this.#hub.network.open();
    exchange.onOver(() => up.close());
    up.send(() => {
      if (url.host !== base.host || this.#hub.network.refused.has(kindOf(path))) {
        exchange.break(networkError());
        return;
      }
      this.#route(exchange, {
        method: init?.method?.toUpperCase() ?? 'GET',
        path,
        query: url.searchParams,
        headers: new Headers(init?.headers),
        body: typeof init?.body === 'string' ? init.body : '',
      });
    });
    return exchange.response;
  };

  #route(exchange: Exchange, q: Request): void {
    if (q.path === '/healthz' || q.path === '/readyz') {
      exchange.answer(200, 'ok');
      return;
    }
    const judged = this.#hub.authenticate(/^Bearer (.+)$/.exec(q.headers.get('authorization') ?? '')?.[1] ?? this.#cookie);
    if (!isPrincipal(judged)) {
      exchange.problem(judged);
      return;
    }
    const members = /^\/v1\/channels\/([^/]+)\/members$/.exec(q.path);
    if (q.path === '/v1/cookie') this.#setCookie(exchange, q, judged);
    else if (q.path === '/v1/commands' && q.method === 'POST') this.#commands(exchange, q, judged);
    else if (q.path === '/v1/poll' || q.path === '/v1/sse') this.#listen(exchange, q, judged);
    else if (members) this.#members(exchange, q, judged, decodeURIComponent(members[1] ?? ''));
    else exchange.problem({ code: 'not_found', message: 'no such resource' });
  }

  #setCookie(exchange: Exchange, q: Request, who: Principal): void {
    this.#cookie = q.method === 'DELETE' ? undefined : who.token;
    exchange.answer(204, null);
  }

  #commands(exchange: Exchange, q: Request, who: Principal): void {
    let session: unknown;
    try {
      session = (JSON.parse(q.body) as { session?: unknown }).session;
    } catch {
      session = undefined;
    }
    this.#visitor(who, typeof session === 'string' ? session : undefined).commands(exchange, who, q.body);
  }

  #listen(exchange: Exchange, q: Request, who: Principal): void {
    const ask = readAsk(q);
    if (isFailure(ask)) {
      exchange.problem(ask);
      return;
    }
    const visitor = this.#visitor(who, ask.session);
    const kind = kindOf(q.path);
    const listener = { hub: this.#hub, exchange, request: q, who, visitor, ask };
    if (kind === 'sse') stream(listener);
    else poll(listener);
    const frame = { type: kind, channels: ask.channels, present: ask.present, wait_ms: ask.waitMs };
    this.#hub.note({ transport: kind, session: visitor.id, type: kind, frame });
  }

  #members(exchange: Exchange, q: Request, who: Principal, channel: string): void {
    if (!who.may('presence', channel)) {
      exchange.problem({ code: 'forbidden', message: 'the token does not allow presence in this channel' });
      return;
    }
    const page = this.#hub.roster.page(channel, q.query.get('after') ?? '', Number(q.query.get('limit') ?? 100));
    exchange.json({ channel, ...page });
  }

  #visitor(who: Principal, id = this.#hub.newName()): HttpSession {
    const key = `${who.user}/${id}`;
    let visitor = this.#visitors.get(key);
    if (!visitor) this.#visitors.set(key, (visitor = new HttpSession(this.#hub, id, who)));
    return visitor;
  }

  /** Stops what the sessions wait for. */
  end(): void {
    for (const visitor of this.#visitors.values()) visitor.end();
  }
}

function isFailure(x: object): x is Failure {
  return 'code' in x;
}
