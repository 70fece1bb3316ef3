import type { Conn } from './conn.js';
import { refusal, TallywireError } from './error.js';
import type { ClientFrame, ServerFrame } from './frame.js';
import { position } from './cursor.js';
import type { EventInput, Published, PublishOptions } from './types/index.js';
import { randomName } from './random.js';

/** Publishes that wait for an answer, and signals. */
export interface Calls {
  publish(channel: string, event: EventInput, o?: PublishOptions): Promise<Published>;
  signal(channel: string, event: EventInput): boolean;
  /** Takes an answer; false where the frame is none to a call. */
  answer(f: ServerFrame): boolean;
  /** Sends again what has not been answered. */
  attached(c: Conn): void;
  close(): void;
}

export interface CallsNeeds {
  /** The connection to send on, if there is one. */
  current(): Conn | null;
  readonly limit: number;
  id(): number;
  backoff(failures: number): number;
  report(error: TallywireError): void;
}

interface Call {
  readonly frame: ClientFrame;
  readonly eventId: string;
  resolve(p: Published): void;
  reject(e: TallywireError): void;
  /** The connection that it was written to. */
  sent: Conn | null;
  failures: number;
  retry: ReturnType<typeof setTimeout> | undefined;
}

/** How many signals may be unanswered before the oldest is forgotten. */
const MAX_SIGNALS = 256;

export function calls(n: CallsNeeds): Calls {
  // In the order of the calls.
  const open = new Map<number, Call>();
  const signals = new Set<number>();
  let due = false;
  let closed = false;

  /** Writes what is to be written, once for all calls of one turn. */
  function flush(): void {
    if (due) return;
    due = true;
    queueMicrotask(() => {
      due = false;
      const c = n.current();
      if (!c) return;
      const frames: ClientFrame[] = [];
      for (const x of open.values()) {
        if (x.sent === c || x.retry !== undefined) continue;
        x.sent = c;
        frames.push(x.frame);
      }
      if (frames.length > 0) c.link.send(frames);
    });
  }

  function end(id: number): Call | undefined {
    const x = open.get(id);
    clearTimeout(x?.retry);
    open.delete(id);
    return x;
  }

  function failed(x: Call, id: number, error: TallywireError): void {
    if (!error.retry && error.code !== 'token_expired') {
      end(id)?.reject(error);
      return;
    }
    x.retry = setTimeout(
      () => {
        x.retry = undefined;
        x.sent = null;
        flush();
      },
      Math.max(error.retryAfterMs ?? 0, n.backoff(++x.failures)),
    );
  }

  return {
    publish(channel, event, o = {}) {
      return new Promise((resolve, reject) => {
        const aborted = () => new TallywireError('aborted', 'given up by the caller', { channel, cause: o.signal?.reason });
        if (closed) return reject(new TallywireError('closed', 'the client is closed', { channel }));
        if (o.signal?.aborted) return reject(aborted());
        if (open.size >= n.limit) {
          return reject(new TallywireError('queue_full', `${open.size} publishes wait already`, { channel, retry: true }));
        }
        const id = n.id();
        const abort = () => end(id)?.reject(aborted());
        const free = () => o.signal?.removeEventListener('abort', abort);
        o.signal?.addEventListener('abort', abort);
        const eventId = event.id ?? randomName();
        open.set(id, {
          frame: { type: 'publish', id, channel, event: wireEvent({ ...event, id: eventId }), ack: o.ack },
          eventId,
          resolve: (p) => (free(), resolve(p)),
          reject: (e) => (free(), reject(e)),
          sent: null,
          failures: 0,
          retry: undefined,
        });
        flush();
        return undefined;
      });
    },
    signal(channel, event) {
      const c = n.current();
      if (!c || closed) return false;
      const id = n.id();
      if (signals.size >= MAX_SIGNALS) signals.delete(signals.values().next().value ?? 0);
      signals.add(id);
      c.link.send([{ type: 'signal', id, channel, event: wireEvent(event) }]);
      return true;
    },
    answer(f) {
      if (typeof f.id !== 'number') return false;
      if (signals.delete(f.id)) {
        if (f.type === 'error') n.report(refusal(f));
        return true;
      }
      const x = open.get(f.id);
      if (!x) return f.type === 'published';
      if (f.type === 'error') failed(x, f.id, refusal(f));
      else {
        end(f.id);
        const { channel = '' } = x.frame;
        const cursor = position(f.cursor)?.cursor ?? '';
        x.resolve({ channel, id: x.eventId, cursor, ack: f.ack ?? 'stored', duplicate: f.duplicate === true });
      }
      return true;
    },
    attached: flush,
    close() {
      closed = true;
      for (const [id, x] of [...open]) {
        end(id);
        x.reject(new TallywireError('closed', 'the client was closed', { retry: false, channel: x.frame.channel }));
      }
    },
  };
}

/** The event as it is sent: extension attributes beside the others. */
function wireEvent({ extensions, ...event }: EventInput): object {
  return { ...extensions, ...event };
}
