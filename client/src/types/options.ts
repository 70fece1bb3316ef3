/** The ways to a gateway, from the best to the last resort. */
export type TransportName = 'websocket' | 'sse' | 'poll';

/** A token, or a function that is asked for one before each connection and before the last one expires. */
export type TokenSource = string | (() => string | Promise<string>);

/** The part of a WebSocket that the client uses; the browsers', Node's (≥ 22) and `ws`'s fit. */
export interface WebSocketLike {
  readonly readyState: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
}

/** Makes WebSockets. */
export type WebSocketConstructor = new (url: string, protocols?: string | string[]) => WebSocketLike;

/** Where cursors are kept across reloads: the part of `Storage` that the client uses. */
export interface CursorStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** How to reach a gateway. Only `url` is required. */
export interface ClientOptions {
  /** `http(s)://` or `ws(s)://` host and port; a path is put before `/v1/…`. In a browser it may be a path, or empty for the page's origin. */
  url: string;
  /** Left out for a gateway that wants none, or one that takes a cookie. Tokens never go into a URL. */
  token?: TokenSource;
  /** Names the logical client across its connections; random when left out. */
  session?: string;
  /** What to try, in this order (default `['websocket', 'sse', 'poll']`). */
  transports?: readonly TransportName[];
  /** Used instead of the global `fetch`, for SSE, polling and their commands. */
  fetch?: typeof globalThis.fetch;
  /** Used instead of the global `WebSocket`. Node 20 has none: pass that of the package `ws`, or do without. */
  WebSocket?: WebSocketConstructor;
  /** Bounds of the full jitter between attempts in milliseconds (default 250 and 20,000). The first retry is immediate. */
  backoff?: { minMs?: number; maxMs?: number };
  /** How long an attempt may take in milliseconds (default 10,000). */
  connectTimeoutMs?: number;
  /** How many publishes may wait for an answer, a connection included, before further ones are refused with `queue_full` (default 1,000). */
  offlineQueue?: number;
  /** How long a channel without subscribers stays subscribed in milliseconds (default 1,000), so that a component that comes back at once finds it as it was. */
  lingerMs?: number;
  /** Share one connection between the tabs of this origin that have the same URL and user (default false). Needs BroadcastChannel and navigator.locks, and does nothing where they are missing. Tabs that share must agree in `shareKey`. */
  shareTabs?: boolean;
  /** Separates tabs that must not share (default: the URL). Use the user's id where several may be signed in. */
  shareKey?: string;
  /** Keep cursors across reloads: `'session'` is the tab's sessionStorage. A subscription without `from` then goes on where it was. */
  persist?: 'session' | CursorStorage;
}
