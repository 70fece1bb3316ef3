import { TallywireError } from './error.js';
import type { Link, LinkHandler } from './transport/link.js';
import { openPoll } from './transport/poll.js';
import { openSSE } from './transport/sse.js';
import { openWebSocket } from './transport/websocket.js';
import type { ClientOptions, CursorStorage, TokenSource, TransportName, WebSocketConstructor } from './types/index.js';

/** Options with their defaults. */
export interface Settings {
  readonly base: string;
  readonly token: TokenSource | undefined;
  readonly session: string;
  /** What is worth trying; shortened by what turns out not to exist here. */
  readonly transports: TransportName[];
  readonly minMs: number;
  readonly maxMs: number;
  readonly timeoutMs: number;
  readonly queue: number;
  readonly lingerMs: number;
  readonly shareKey: string;
  readonly storage: CursorStorage | undefined;
  open(name: TransportName, token: string | undefined, on: LinkHandler): Link;
}

const OPEN = { websocket: openWebSocket, sse: openSSE, poll: openPoll };

/** A name that nobody else has. randomUUID is missing on pages without TLS. */
export function randomName(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
}

/** Checks options and fills what is left out. */
export function settings(o: ClientOptions): Settings {
  const base = baseOf(o.url);
  const session = o.session ?? randomName();
  // A session that was named may have sent commands before: the gateway says which number comes next.
  const commands = { seq: o.session === undefined ? 1 : Number.MAX_SAFE_INTEGER };
  const timeoutMs = o.connectTimeoutMs ?? 10_000;
  return {
    base,
    session,
    timeoutMs,
    token: o.token,
    transports: [...(o.transports ?? (['websocket', 'sse', 'poll'] as const))],
    minMs: o.backoff?.minMs ?? 250,
    maxMs: o.backoff?.maxMs ?? 20_000,
    queue: o.offlineQueue ?? 1_000,
    lingerMs: o.lingerMs ?? 1_000,
    shareKey: o.shareKey ?? base,
    storage: o.persist === 'session' ? sessionStorageOf() : o.persist,
    open: (name, token, on) =>
      OPEN[name](
        {
          base,
          session,
          token,
          commands,
          timeoutMs,
          fetch: o.fetch ?? globalThis.fetch?.bind(globalThis),
          WebSocket: o.WebSocket ?? (globalThis.WebSocket as WebSocketConstructor | undefined),
        },
        on,
      ),
  };
}

function baseOf(url: string): string {
  try {
    const page = (globalThis as { location?: { href: string } }).location?.href;
    const u = new URL(url.replace(/^ws/, 'http'), page);
    if (!/^https?:$/.test(u.protocol) || u.username) throw new TypeError('wrong scheme, or a user in it');
    return u.origin + u.pathname.replace(/\/+$/, '');
  } catch (cause) {
    throw new TallywireError('invalid_argument', `url: must be http(s):// or ws(s):// and a host, is ${JSON.stringify(url)}`, { cause });
  }
}

/** Undefined where there is none, or where the page may not use it. */
function sessionStorageOf(): CursorStorage | undefined {
  try {
    return globalThis.sessionStorage;
  } catch {
    return undefined;
  }
}
