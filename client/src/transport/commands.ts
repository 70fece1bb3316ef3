import { jitter } from '../backoff.js';
import { needsToken, TallywireError } from '../error.js';
import type { ClientFrame, ServerFrame } from '../frame.js';
import { readFrames, takeMessage } from '../frame.js';
import { post } from './http.js';
import type { LinkOptions } from './link.js';

const TIMEOUT_MS = 15_000;
/** Failures in a row after which the link is given up. */
const MAX_FAILURES = 4;
/** The idle link shows this often that it is alive, and finds out whether the gateway is. */
const PING_MS = 25_000;

/** Who is told. */
export interface CommandsHandler {
  frames(frames: ServerFrame[]): void;
  rtt(ms: number): void;
  failed(error: TallywireError): void;
}

/** The upstream of SSE and polling: one numbered request at a time, so that commands stay in order and happen once. */
export interface Commands {
  send(frames: readonly ClientFrame[]): void;
  /** A request of its own, without a number; resolves with the round trip in milliseconds. */
  ping(): Promise<number>;
  /** Pings from time to time until closed. */
  keepAlive(): void;
  close(): void;
}

export function commands(o: LinkOptions, token: () => string | undefined, on: CommandsHandler): Commands {
  const abort = new AbortController();
  const queue: ClientFrame[] = [];
  let waits = 0; // in a row
  let busy = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let beat: ReturnType<typeof setTimeout> | undefined;

  const closed = () => abort.signal.aborted;
  const sleep = (ms: number) =>
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
      abort.signal.addEventListener('abort', () => resolve(), { once: true });
    });

  async function request(body: unknown): Promise<ServerFrame[]> {
    const began = Date.now();
    const text = await post({ ...o, token: token() }, 'commands', body, { signal: abort.signal, timeoutMs: TIMEOUT_MS });
    on.rtt(Date.now() - began);
    return readFrames(text as string);
  }

  function skip(): void {
    if (o.commands.seq !== undefined) o.commands.seq++;
  }

  async function pump(): Promise<void> {
    if (busy) return;
    busy = true;
    while (queue.length > 0 && !closed()) await deliver(takeMessage(queue));
    busy = false;
  }

  /** Sends a batch until it is answered, refused, or the link given up. */
  async function deliver(frames: ClientFrame[]): Promise<void> {
    for (let failures = 0; !closed(); ) {
      try {
        const answers = await request({ session: o.session, seq: o.commands.seq, frames });
        if (closed()) return;
        skip();
        on.frames(answers);
        // The number was taken by other frames: those of a request whose answer this link never saw.
        const answered = new Set(answers.map((f) => f.id));
        const missing = frames.filter((f) => f.id !== undefined && !answered.has(f.id));
        queue.unshift(...missing);
        if (missing.length === 0) waits = 0;
        else await sleep(jitter(250, 5_000, waits++));
        return;
      } catch (cause) {
        if (closed()) return;
        const error = cause instanceof TallywireError ? cause : new TallywireError('bad_answer', 'no frames', { retry: true, cause });
        const expected = (error.cause as { expected?: unknown } | undefined)?.expected;
        const counts = typeof expected === 'number' && error.code === 'out_of_order';
        if (counts || (error.code === 'unsupported' && o.commands.seq !== undefined)) {
          o.commands.seq = counts ? expected : undefined;
          if (++failures < MAX_FAILURES) continue;
        }
        if (needsToken(error) || ++failures > MAX_FAILURES) return on.failed(error);
        if (!error.retry) return on.frames(frames.map((f) => refused(f, error)));
        await sleep(Math.max(jitter(250, 5_000, waits++), error.retryAfterMs ?? 0));
      }
    }
  }

  function refused(f: ClientFrame, e: TallywireError): ServerFrame {
    return { type: 'error', id: f.id, code: e.code, message: e.message, ...(f.channel !== undefined && { channel: f.channel }) };
  }

  async function ping(): Promise<number> {
    const began = Date.now();
    await request({ session: o.session, frames: [{ type: 'ping' }] });
    return Date.now() - began;
  }

  return {
    send(frames) {
      queue.push(...frames);
      void pump();
    },
    ping,
    keepAlive() {
      beat = setTimeout(() => {
        ping().then(
          () => {
            if (!closed()) this.keepAlive();
          },
          (error: TallywireError) => {
            if (!closed()) on.failed(error);
          },
        );
      }, PING_MS);
    },
    close() {
      // What is under way has used its number, whether or not it arrived.
      if (busy) skip();
      abort.abort();
      clearTimeout(timer);
      clearTimeout(beat);
    },
  };
}
