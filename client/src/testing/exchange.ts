import { mayRetry, type ErrorCode, type Failure } from './frames.js';
import type { Hub } from './hub.js';
import type { Pipe, TransportKind } from './network.js';

/** A request as a handler sees it. */
export interface Request {
  readonly method: string;
  /** Below the server's URL, without the query: `/v1/poll`. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly body: string;
}

const statuses: Partial<Record<ErrorCode, number>> = {
  unauthorized: 401, token_expired: 401, token_revoked: 401, forbidden: 403, origin_not_allowed: 403, not_found: 404,
  unsupported: 405, out_of_order: 409, in_progress: 409, replaced: 409, request_timeout: 408, origin_required: 403, unsupported_media_type: 415, token_too_large: 431, frame_too_large: 413, status_too_large: 413,
  host_not_allowed: 421, invalid_event: 422, rate_limited: 429, internal: 500, overloaded: 503, unavailable: 503,
  keys_unavailable: 503, refused: 507,
};

const titles: Record<number, string> = {
  400: 'Bad Request', 408: 'Request Timeout', 415: 'Unsupported Media Type', 431: 'Request Header Fields Too Large', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 409: 'Conflict',
  413: 'Request Entity Too Large', 421: 'Misdirected Request', 422: 'Unprocessable Entity', 429: 'Too Many Requests',
  500: 'Internal Server Error', 503: 'Service Unavailable', 507: 'Insufficient Storage',
};

/** One request on its way, and its answer. */
export class Exchange {
  #down: Pipe;
  #settled = false;
  #stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  #resolve!: (r: Response) => void;
  #reject!: (e: unknown) => void;
  #over: (() => void)[] = [];
  #done = false;
  /** The client knows that it has ended. */
  #told = false;
  #ignore: () => void = () => {};
  /** The answer, as `fetch` returns it. */
  readonly response: Promise<Response>;

  constructor(hub: Hub, signal: AbortSignal | null | undefined) {
    this.#down = hub.network.open();
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const abort = (): void => this.break(signal?.reason ?? new DOMException('The operation was aborted.', 'AbortError'));
    this.#ignore = () => signal?.removeEventListener('abort', abort);
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort);
  }

  /** Whether it has ended. */
  get over(): boolean {
    return this.#done;
  }

  /** Calls back when the exchange has ended, however. */
  onOver(call: () => void): void {
    if (this.#done) call();
    else this.#over.push(call);
  }

  /** Answers with a whole body. */
  answer(status: number, body: string | null, headers: Record<string, string> = {}): void {
    this.#down.send(() => {
      if (this.#settled) return;
      this.#settled = true;
      this.#resolve(new Response(body, { status, headers }));
      this.#end();
    });
  }

  /** Answers with JSON. */
  json(value: unknown, headers: Record<string, string> = {}): void {
    const text = JSON.stringify(value);
    const length = String(new TextEncoder().encode(text).length);
    this.answer(200, text, { 'Content-Type': 'application/json', 'Content-Length': length, ...headers });
  }

  /** Answers with problem details. */
  problem(f: Failure & { expected?: number }): void {
    const status = statuses[f.code] ?? 400;
    const { code, message: detail, path, channel, expected } = f;
    const retry = mayRetry(code);
    const body = { type: 'about:blank', title: titles[status], status, detail, code, retry, path, channel, expected };
    this.answer(status, JSON.stringify(body), { 'Content-Type': 'application/problem+json' });
  }

  /** Begins an answer whose body goes on. */
  open(headers: Record<string, string>): void {
    this.#down.send(() => {
      if (this.#settled) return;
      this.#settled = true;
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          this.#stream = controller;
        },
        cancel: () => this.#end(),
      });
      this.#resolve(new Response(body, { status: 200, headers }));
    });
  }

  /** Goes on with the body. */
  write(text: string): void {
    this.#down.send(() => {
      if (!this.#done) this.#stream?.enqueue(new TextEncoder().encode(text));
    });
  }

  /** Ends the body as it should. */
  finish(): void {
    this.#down.send(() => {
      if (!this.#done) this.#stream?.close();
      this.#end();
    });
  }

  /** Ends it with an error at the client. */
  break(reason: unknown): void {
    if (this.#told) return;
    if (this.#settled) this.#stream?.error(reason);
    else this.#reject(reason);
    this.#settled = true;
    this.#end();
  }

  /** Loses it; the client is not told, and may still give it up. */
  vanish(): void {
    this.#leave();
  }

  #end(): void {
    this.#told = true;
    this.#ignore();
    this.#leave();
  }

  #leave(): void {
    if (this.#done) return;
    this.#done = true;
    this.#down.close();
    for (const call of this.#over) call();
  }
}

/** What a `fetch` that reaches nobody is rejected with. */
export function networkError(): TypeError {
  return new TypeError('fetch failed');
}

/** Which of the faults of the network concern a request. */
export function kindOf(path: string): TransportKind {
  if (path.endsWith('/sse')) return 'sse';
  return path.endsWith('/poll') ? 'poll' : 'commands';
}
