import { TallywireError } from '../error.js';
import type { ChannelRequest, ServerFrame } from '../frame.js';
import { readFrames } from '../frame.js';
import type { Answer } from './http.js';
import { post } from './http.js';
import type { LinkOptions } from './link.js';
import { sseParser } from './sse-parser.js';

/** The gateway says something every 15 seconds or less. */
const SILENCE_MS = 35_000;

/**
 * Reads one stream to its end and gives the error that stands for the end; it rejects where it did not begin, broke,
 * or fell silent. `signal` ends it.
 */
export async function openStream(
  o: LinkOptions,
  channels: readonly ChannelRequest[],
  signal: AbortSignal,
  take: (frames: ServerFrame[]) => void,
): Promise<TallywireError> {
  const request = { signal, timeoutMs: o.timeoutMs, stream: true };
  const answer = (await post(o, 'sse', { session: o.session, channels }, request)) as Answer;
  const reader = answer.body?.getReader();
  if (!reader) throw new TallywireError('bad_answer', 'the answer cannot be read as a stream');
  let silent = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let retryAfterMs: number | undefined;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      silent = true;
      reader.cancel().catch(() => {});
    }, SILENCE_MS);
  };
  const parse = sseParser({
    data: (data) => take(readFrames(data)),
    retry: (ms) => {
      retryAfterMs = ms;
    },
  });
  const text = new TextDecoder();
  heard();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      heard();
      parse(text.decode(value, { stream: true }));
    }
  } catch (cause) {
    throw new TallywireError('network', 'the stream broke', { retry: true, retryAfterMs, cause });
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
  return new TallywireError(silent ? 'timeout' : 'network', silent ? 'the stream fell silent' : 'the stream ended', {
    retry: true,
    retryAfterMs,
  });
}
