import { refusal, TallywireError } from '../error.js';
import type { LinkOptions } from './link.js';

/** What a request may want. */
export interface RequestOptions {
  readonly signal: AbortSignal;
  /** Until the answer has begun, and, unless it is a stream, has ended. */
  readonly timeoutMs: number;
  readonly stream?: boolean;
}

/** A request that was answered. */
export type Answer = Response & { readonly text: () => Promise<string> };

const MAX_RETRY_AFTER_MS = 300_000;

/** Reads the header Retry-After; undefined when there is none. A date is taken by the server's own clock. */
export function retryAfterMs(h: Headers): number | undefined {
  const value = h.get('retry-after');
  if (!value) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.parse(h.get('date') ?? '');
  return ms >= 0 ? Math.min(ms, MAX_RETRY_AFTER_MS) : undefined;
}

/**
 * Posts JSON below /v1 and gives the answer, as text unless it is a stream. Everything that is not 200 is a
 * TallywireError, with `cause` the problem details if there were any.
 */
export async function post(o: LinkOptions, path: string, body: unknown, r: RequestOptions): Promise<Answer | string> {
  const { fetch } = o;
  if (!fetch) throw new TallywireError('invalid_argument', 'no fetch here: pass one in the options');
  const abort = new AbortController();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    abort.abort();
  }, r.timeoutMs);
  const cancel = () => abort.abort();
  r.signal.addEventListener('abort', cancel);
  // A stream is ended by its signal for as long as it lives.
  const done = () => r.signal.removeEventListener('abort', cancel);
  try {
    if (r.signal.aborted) abort.abort();
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      accept: r.stream ? 'text/event-stream' : 'application/json',
    };
    if (o.token) headers['authorization'] = `Bearer ${o.token}`;
    const answer = await fetch(`${o.base}/v1/${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      signal: abort.signal,
      cache: 'no-store',
      credentials: o.token ? 'same-origin' : 'include',
    });
    if (answer.status !== 200) throw await problem(answer);
    if (r.stream) return answer;
    const text = await answer.text();
    done();
    return text;
  } catch (cause) {
    done();
    if (cause instanceof TallywireError) throw cause;
    const code = late ? 'timeout' : 'network';
    throw new TallywireError(code, late ? 'no answer in time' : 'the request failed', { retry: true, cause });
  } finally {
    clearTimeout(timer);
  }
}

async function problem(answer: Response): Promise<TallywireError> {
  let details: Record<string, unknown> = {};
  try {
    details = (await answer.json()) as Record<string, unknown>;
  } catch {
    // Whoever answered is no gateway: a proxy, perhaps.
  }
  const { status } = answer;
  return refusal(
    { message: `status ${status}`, ...(typeof details['detail'] === 'string' && { message: details['detail'] }), ...details },
    {
      status,
      retryAfterMs: retryAfterMs(answer.headers),
      retry: typeof details['retry'] === 'boolean' ? details['retry'] : status >= 500 || status === 429 || status === 408,
      cause: details,
    },
  );
}
