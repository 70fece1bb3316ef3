import { TallywireError } from './error.js';
import { randomName } from './random.js';
import type { Link, LinkHandler, LinkOptions } from './transport/link.js';
import { openWebSocket } from './transport/websocket.js';
import type { ClientOptions, TokenSource, TransportName } from './types/index.js';

/** Options with their defaults. */
export interface Settings extends Omit<LinkOptions, 'token'> {
  readonly token: TokenSource | undefined;
  /** What is worth trying; shortened by what turns out not to exist here. */
  readonly transports: TransportName[];
  readonly minMs: number;
  readonly maxMs: number;
  readonly queue: number;
  readonly lingerMs: number;
  readonly shareKey: string;
  readonly persist: ClientOptions['persist'];
  /** Loads what opens links of a transport. */
  load: Load;
}

/** Loads what opens links of a transport. */
export type Load = (name: TransportName) => Promise<(token: string | undefined, on: LinkHandler) => Link>;

/** Checks options and fills what is left out. */
export function settings(o: ClientOptions): Settings {
  const { fetch, WebSocket } = globalThis;
  const {
    token,
    session = randomName(),
    transports = ['websocket', 'sse', 'poll'],
    backoff: { minMs = 250, maxMs = 20_000 } = {},
    connectTimeoutMs: timeoutMs = 10_000,
    offlineQueue: queue = 1_000,
    lingerMs = 1_000,
    persist,
  } = o;
  const base = baseOf(o.url);
  const s: Settings = {
    base,
    fetch: o.fetch ?? fetch?.bind(globalThis),
    WebSocket: o.WebSocket ?? WebSocket,
    // A session that was named may have sent commands before: the gateway says which number comes next.
    commands: { seq: o.session === undefined ? 1 : Number.MAX_SAFE_INTEGER },
    token,
    session,
    transports: [...transports],
    minMs,
    maxMs,
    timeoutMs,
    queue,
    lingerMs,
    shareKey: o.shareKey ?? base,
    persist,
    async load(name) {
      // What is only needed where WebSockets do not get through is in a file of its own.
      const open = name === 'websocket' ? openWebSocket : (await import('./transport/fallback.js'))[name];
      return (fresh, on) => open({ ...s, token: fresh }, on);
    },
  };
  return s;
}

function baseOf(url: string): string {
  try {
    const page = (globalThis as { location?: { origin: string } }).location?.origin;
    const u = new URL(url.replace(/^ws/, 'http'), page);
    if (!/^https?:$/.test(u.protocol) || u.username) throw new Error();
    return u.origin + u.pathname.replace(/\/+$/, '');
  } catch (cause) {
    throw new TallywireError('invalid_argument', `url: ${JSON.stringify(url)} is not http(s):// or ws(s):// and a host`, { cause });
  }
}
