import type { WebSocketConstructor, WebSocketLike } from '@tallywire/client';

/** What is broken on purpose. */
export interface Trouble {
  /** WebSockets and streams do not get through, as behind some proxies: what is left is polling. */
  readonly onlyPolling: boolean;
  /** No network until then (milliseconds since 1970); null while there is one. */
  readonly offlineUntil: number | null;
}

/**
 * A network that can be broken, between the client and the browser's own. Nothing about the client is
 * changed: it sees what it would see of a network that breaks.
 */
export class Chaos {
  #trouble: Trouble = { onlyPolling: false, offlineUntil: null };
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<() => void>();
  /** Ends what is open: sockets, streams, requests. */
  readonly #open = new Set<{ long: boolean; end(): void }>();

  readonly getTrouble = (): Trouble => this.#trouble;

  readonly onTrouble = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Cuts every connection once. */
  cut(): void {
    for (const one of [...this.#open]) one.end();
  }

  /** Takes the network away for a time. */
  drop(ms: number): void {
    clearTimeout(this.#timer);
    this.#set({ ...this.#trouble, offlineUntil: Date.now() + ms });
    this.cut();
    this.#timer = setTimeout(() => this.#set({ ...this.#trouble, offlineUntil: null }), ms);
  }

  /** Lets nothing through but short requests, or everything again. */
  pollOnly(on: boolean): void {
    this.#set({ ...this.#trouble, onlyPolling: on });
    if (on) for (const one of [...this.#open]) if (one.long) one.end();
  }

  /** Ends every trouble. */
  heal(): void {
    clearTimeout(this.#timer);
    this.#set({ onlyPolling: false, offlineUntil: null });
  }

  /** For `ClientOptions.fetch`. */
  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const path = new URL(input instanceof Request ? input.url : String(input), location.href).pathname;
    const long = path.endsWith('/v1/sse');
    if (this.#blocks(long)) throw new TypeError('the network is away');
    const broken = new AbortController();
    const signals = [broken.signal, init?.signal].filter((s) => s !== undefined && s !== null);
    const one = { long, end: () => broken.abort(new TypeError('the network broke')) };
    this.#open.add(one);
    const over = (): void => void this.#open.delete(one);
    // A stream is open until it is aborted; what is over need not be ended, but may.
    init?.signal?.addEventListener('abort', over, { once: true });
    broken.signal.addEventListener('abort', over, { once: true });
    try {
      const answer = await globalThis.fetch(input, { ...init, signal: AbortSignal.any(signals) });
      if (!long) over();
      return answer;
    } catch (error) {
      over();
      throw error;
    }
  };

  /** For `ClientOptions.WebSocket`. */
  readonly WebSocket: WebSocketConstructor = breakable(
    (one) => this.#track(one),
    () => this.#blocks(true),
  );

  #track(one: { long: boolean; end(): void }): () => void {
    this.#open.add(one);
    return () => this.#open.delete(one);
  }

  #blocks(long: boolean): boolean {
    return this.#trouble.offlineUntil !== null || (long && this.#trouble.onlyPolling);
  }

  #set(trouble: Trouble): void {
    this.#trouble = trouble;
    for (const listener of [...this.#listeners]) listener();
  }
}

type Track = (one: { long: boolean; end(): void }) => () => void;

/** Makes a class of WebSockets that break when the chaos says so. */
function breakable(track: Track, blocked: () => boolean): WebSocketConstructor {
  return class BreakableSocket implements WebSocketLike {
    onopen: WebSocketLike['onopen'] = null;
    onmessage: WebSocketLike['onmessage'] = null;
    onerror: WebSocketLike['onerror'] = null;
    onclose: WebSocketLike['onclose'] = null;
    readonly #inner: WebSocket | null;
    readonly #over: () => void;
    #ended = false;

    constructor(url: string, protocols?: string | string[]) {
      this.#over = track({ long: true, end: () => this.#break() });
      if (blocked()) {
        this.#inner = null;
        setTimeout(() => this.#break(), 50);
        return;
      }
      const inner = (this.#inner = new WebSocket(url, protocols));
      inner.onopen = (e) => this.onopen?.(e as never);
      inner.onmessage = (e) => this.onmessage?.(e as never);
      inner.onerror = (e) => this.onerror?.(e as never);
      inner.onclose = (e) => this.#end(e);
    }

    get readyState(): number {
      return this.#ended ? WebSocket.CLOSED : (this.#inner?.readyState ?? WebSocket.CONNECTING);
    }

    send(data: string): void {
      if (!this.#ended) this.#inner?.send(data);
    }

    close(code?: number, reason?: string): void {
      this.#over();
      if (!this.#inner) this.#ended = true;
      this.#inner?.close(code, reason);
    }

    /** Ends as a connection does whose other side is gone: without a word. */
    #break(): void {
      if (this.#ended) return;
      const { onerror } = this;
      onerror?.(new Event('error') as never);
      this.#end(new CloseEvent('close', { code: 1006, wasClean: false }));
      if (!this.#inner) return;
      this.#inner.onopen = this.#inner.onmessage = this.#inner.onerror = this.#inner.onclose = null;
      this.#inner.close();
    }

    #end(event: CloseEvent): void {
      if (this.#ended) return;
      this.#ended = true;
      this.#over();
      this.onclose?.(event as never);
    }
  };
}
