import type { Hub } from './hub.js';
import type { Pipe } from './network.js';
import { ServerSocket } from './connection.js';

/** How long a browser waits for the other side's goodbye. */
const closeTimeoutMs = 10_000;

/** What the handlers of a {@link TestWebSocket} are given. */
interface SocketEvent {
  readonly type: 'open' | 'message' | 'error' | 'close';
  readonly target: TestWebSocket;
  readonly data?: string;
  readonly code?: number;
  readonly reason?: string;
  readonly wasClean?: boolean;
}

/** A WebSocket to the server. `server.WebSocket` makes them; it fits where a browser's does. */
export class TestWebSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  binaryType = 'blob';
  readonly bufferedAmount = 0;
  readonly extensions = '';
  readonly url: string;
  protocol = '';
  readyState: number = TestWebSocket.CONNECTING;
  #listeners = new Map<string, Set<(event: never) => void>>();
  #up: Pipe;
  #down: Pipe;
  #server: ServerSocket | undefined;
  #closing: ReturnType<typeof setTimeout> | undefined;

  constructor(hub: Hub, url: string | URL, protocols: string | string[] = []) {
    this.url = String(url);
    this.#up = hub.network.open();
    this.#down = hub.network.open();
    this.#up.send(() => this.#arrive(hub, typeof protocols === 'string' ? [protocols] : protocols));
  }

  /** The upgrade request is at the server. */
  #arrive(hub: Hub, protocols: readonly string[]): void {
    const lost = (): void => this.#finish(1006, '', false);
    if (!reachable(hub, this.url)) {
      this.#down.send(lost);
      return;
    }
    this.#server = new ServerSocket(hub, this.#down, {
      message: (data) => this.#message(data),
      close: (code, reason) => this.#finish(code, reason, true),
      lost,
    });
    this.#down.send(() => {
      if (this.readyState !== TestWebSocket.CONNECTING) return;
      this.readyState = TestWebSocket.OPEN;
      this.protocol = protocols.includes('tallywire.v1') ? 'tallywire.v1' : '';
      this.#emit({ type: 'open', target: this });
    });
  }

  /** Sends a message; as in a browser, one that is sent to a closed socket is lost. */
  send(data: string): void {
    if (this.readyState === TestWebSocket.CONNECTING) throw new DOMException('still connecting', 'InvalidStateError');
    if (this.readyState === TestWebSocket.OPEN) this.#up.send(() => this.#server?.receive(data));
  }

  /** Begins to close it; `onclose` follows. */
  close(code = 1005, reason = ''): void {
    if (code !== 1005 && code !== 1000 && (code < 3000 || code > 4999)) {
      throw new DOMException(`the close code ${code} is not allowed`, 'InvalidAccessError');
    }
    if (this.readyState >= TestWebSocket.CLOSING) return;
    const opened = this.readyState === TestWebSocket.OPEN;
    this.readyState = TestWebSocket.CLOSING;
    this.#closing = setTimeout(() => this.#finish(1006, '', false), closeTimeoutMs);
    this.#up.send(() => {
      this.#server?.gone();
      this.#down.send(() => (opened ? this.#finish(code, reason, true) : this.#finish(1006, '', false)));
    });
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
  }

  removeEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.get(type)?.delete(listener);
  }

  #message(data: string): void {
    if (this.readyState === TestWebSocket.OPEN) this.#emit({ type: 'message', target: this, data });
  }

  #finish(code: number, reason: string, wasClean: boolean): void {
    if (this.readyState === TestWebSocket.CLOSED) return;
    this.readyState = TestWebSocket.CLOSED;
    clearTimeout(this.#closing);
    this.#up.close();
    this.#down.close();
    this.#server?.gone();
    if (!wasClean) this.#emit({ type: 'error', target: this });
    this.#emit({ type: 'close', target: this, code, reason, wasClean });
  }

  #emit(event: SocketEvent): void {
    const handler = { open: this.onopen, message: this.onmessage, error: this.onerror, close: this.onclose }[event.type];
    const calls = [handler, ...(this.#listeners.get(event.type) ?? [])] as (((event: SocketEvent) => void) | null)[];
    for (const call of calls) call?.call(this, event);
  }
}

function reachable(hub: Hub, url: string): boolean {
  if (hub.network.refused.has('websocket')) return false;
  const want = new URL(hub.options.url);
  const have = new URL(url, want);
  return have.host === want.host && have.pathname === `${want.pathname.replace(/\/$/, '')}/v1/ws`;
}
