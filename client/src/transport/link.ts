import type { TallywireError } from '../error.js';
import type { ChannelRequest, ClientFrame, ServerFrame } from '../frame.js';
import type { TransportName, WebSocketConstructor } from '../types/index.js';

/** What a link needs to open. */
export interface LinkOptions {
  /** `http(s)://host:port/path`, without `/v1`. */
  readonly base: string;
  readonly session: string;
  readonly token: string | undefined;
  readonly fetch: typeof fetch | undefined;
  readonly WebSocket: WebSocketConstructor | undefined;
  readonly timeoutMs: number;
  /** The number of the next request to /v1/commands; it outlives links. Undefined for a gateway that counts none. */
  readonly commands: { seq: number | undefined };
}

/** Who is told what a link does. Nothing is called any more after `down`, or after the link was closed. */
export interface LinkHandler {
  /** The gateway has taken the connection: once. */
  open(connected: ServerFrame): void;
  frames(frames: ServerFrame[]): void;
  /** The link has ended: once, before or after `open`. */
  down(error: TallywireError): void;
  /** A round trip was measured. */
  rtt(ms: number): void;
}

/**
 * One way to a gateway, opened by making it. All transports look like the WebSocket: what was asked for with
 * `subscribe` is answered for each channel by `subscribed` or `error` with the same id, in its place among the frames.
 */
export interface Link {
  readonly name: TransportName;
  /** Events could come through: it is not this way that fails. */
  proven(): boolean;
  /** Follows channels, or follows them from elsewhere. It may be called before `open`. */
  subscribe(id: number, channels: readonly ChannelRequest[]): void;
  unsubscribe(channels: readonly string[]): void;
  /** Sends commands, in order. Only after `open`. */
  send(frames: readonly ClientFrame[]): void;
  /** Goes on with another token. */
  refresh(id: number, token: string): void;
  /** Finds out soon whether the gateway is still there. */
  probe(): void;
  /** Ends it at once, without a word to the handler. */
  close(): void;
}

/** Opens a link; it throws where this environment cannot. */
export type OpenLink = (o: LinkOptions, on: LinkHandler) => Link;
