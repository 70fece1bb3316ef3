import { expect, test, vi } from 'vitest';
import type { ClientFrame } from '../../src/frame.js';
import type { TallywireError, WebSocketLike } from '../../src/index.js';
import { createClient } from '../../src/index.js';

const TOTAL = 60_000;
const MESSAGE = 500;

/** A socket to a gateway whose channel has many events, and which sends all of them at once. */
class Flood implements WebSocketLike {
  static subscribes: string[] = [];
  readyState = 1;
  onopen: ((e: never) => void) | null = null;
  onmessage: ((e: never) => void) | null = null;
  onerror: ((e: never) => void) | null = null;
  onclose: ((e: never) => void) | null = null;

  constructor() {
    queueMicrotask(() => this.onopen?.({} as never));
  }

  send(text: string): void {
    const f = JSON.parse(text) as ClientFrame;
    if (f.type === 'connect') this.#say([{ type: 'connected', id: f.id, session: 's', user: 'u', gateway: 'g', ping_ms: 25_000 }]);
    if (f.type !== 'subscribe') return;
    const [{ cursor = '0' } = {}] = f['channels'] as { cursor?: string }[];
    Flood.subscribes.push(cursor);
    const from = Math.max(Number.parseInt(cursor), 1);
    this.#say([{ type: 'subscribed', id: f.id, channel: 'a', cursor, head: `${TOTAL}-${TOTAL}`, resumed: true }]);
    for (let n = from + 1; n <= TOTAL; n += MESSAGE) {
      const frames = [];
      for (let i = n; i < Math.min(n + MESSAGE, TOTAL + 1); i++) {
        frames.push({ type: 'event', channel: 'a', cursor: `${i}-${i}`, event: { type: 'x.counted' } });
      }
      this.#say(frames);
    }
  }

  close(): void {
    this.readyState = 3;
  }

  #say(frames: unknown[]): void {
    const data = JSON.stringify(frames);
    queueMicrotask(() => this.onmessage?.({ data } as never));
  }
}

test('more than can wait is dropped, and asked for again when there is room', async () => {
  Flood.subscribes = [];
  const client = createClient<Record<string, unknown>>({ url: 'http://gw', WebSocket: Flood });
  const errors: TallywireError[] = [];
  client.on('error', (e) => errors.push(e));
  let last = 1;
  let wrong = 0;
  client.subscribe(
    'a',
    (e) => {
      const n = Number.parseInt(e.cursor);
      if (n !== last + 1 || e.skipped !== 0) wrong++;
      last = n;
      // The first event takes a whole slice, and all the others arrive before the next one.
      for (const end = performance.now() + (n === 2 ? 20 : 0); performance.now() < end; );
    },
    { from: '0' },
  );
  await vi.waitFor(() => expect(last).toBe(TOTAL), { timeout: 50_000 });
  expect(wrong).toBe(0);
  expect(errors).toEqual([]);
  expect(Flood.subscribes.length).toBe(2);
  expect(Number.parseInt(Flood.subscribes[1] ?? '')).toBeGreaterThan(40_000); // what had room was not for nothing
  expect(Flood.subscribes[0]).toBe('0');
  await client.close();
}, 60_000);
