import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ClientFrame, ServerFrame } from '../../src/frame.js';
import type { TallywireError } from '../../src/index.js';
import { commands } from '../../src/transport/commands.js';
import { retryAfterMs } from '../../src/transport/http.js';
import type { LinkOptions } from '../../src/transport/link.js';
import { openPoll } from '../../src/transport/poll.js';
import { sseParser } from '../../src/transport/sse-parser.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

interface Body {
  seq?: number;
  frames: ClientFrame[];
  wait_ms: number;
}

type Reply = { status?: number; body?: unknown; headers?: Record<string, string> } | 'lost';

/** Options whose requests are answered by a function. */
function options(answer: (path: string, body: Body) => Reply | Promise<Reply>): LinkOptions & { bodies: Body[] } {
  const bodies: Body[] = [];
  return {
    bodies,
    base: 'http://gw',
    session: 's',
    token: 't',
    WebSocket: undefined,
    timeoutMs: 1_000,
    commands: { seq: 1 },
    fetch: async (url, init) => {
      const body = JSON.parse(init?.body as string) as Body;
      bodies.push(body);
      const reply = await answer((url as string).replace('http://gw/v1/', ''), body);
      if (reply === 'lost') throw new TypeError('fetch failed');
      return new Response(JSON.stringify(reply.body ?? []), { status: reply.status ?? 200, headers: reply.headers ?? {} });
    },
  };
}

/** The answers of a gateway that does what it is told. */
const done = (frames: ClientFrame[]): ServerFrame[] => frames.map((f) => ({ type: 'published', id: f.id, cursor: '2-2' }));
const publish = (id: number): ClientFrame => ({ type: 'publish', id, channel: 'a', event: { type: 'x' } });

function sender(o: LinkOptions) {
  const got: (number | string | undefined)[] = [];
  const frames: ServerFrame[] = [];
  const errors: TallywireError[] = [];
  const c = commands(o, () => o.token, {
    frames: (all) => {
      frames.push(...all);
      got.push(...all.map((f) => f.id));
    },
    rtt: () => {},
    failed: (e) => errors.push(e),
  });
  return { c, got, frames, errors };
}

describe('commands', () => {
  test('go one request at a time, numbered, in order', async () => {
    const o = options((_, b) => ({ body: done(b.frames) }));
    const { c, got } = sender(o);
    c.send([publish(1)]);
    c.send([publish(2), publish(3)]);
    c.send([publish(4)]);
    await vi.advanceTimersByTimeAsync(0);
    expect(o.bodies.map((b) => [b.seq, b.frames.map((f) => f.id)])).toEqual([
      [1, [1]],
      [2, [2, 3, 4]],
    ]);
    expect(got).toEqual([1, 2, 3, 4]);
    c.close();
  });

  test('a request whose answer is lost is sent again with its number', async () => {
    let lost = 2;
    const o = options((_, b) => (lost-- > 0 ? 'lost' : { body: done(b.frames) }));
    const { c, got } = sender(o);
    c.send([publish(1)]);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(o.bodies.map((b) => b.seq)).toEqual([1, 1, 1]);
    expect(got).toEqual([1]);
    c.close();
  });

  test('the number that the gateway expects is taken', async () => {
    const o = options((_, b) =>
      b.seq === 7 ? { body: done(b.frames) } : { status: 409, body: { code: 'out_of_order', retry: false, expected: 7 } },
    );
    const { c, got } = sender(o);
    c.send([publish(1)]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(got).toEqual([1]);
    expect(o.commands.seq).toBe(8);
    c.close();
  });

  test('the answer to another’s frames is not taken for that to one’s own', async () => {
    // The number was used by a link before, with frame 1; its answer is kept.
    const o = options((_, b) => ({ body: b.seq === 1 ? done([publish(1)]) : done(b.frames) }));
    const { c, got } = sender(o);
    c.send([publish(2)]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(o.bodies.map((b) => [b.seq, b.frames[0]?.id])).toEqual([
      [1, 2],
      [2, 2],
    ]);
    expect(got).toEqual([1, 2]);
    c.close();
  });

  test('a gateway that keeps no receipts gets no numbers', async () => {
    const o = options((_, b) => (b.seq === undefined ? { body: done(b.frames) } : { status: 405, body: { code: 'unsupported' } }));
    const { c, got } = sender(o);
    c.send([publish(1)]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(got).toEqual([1]);
    expect(o.commands.seq).toBeUndefined();
    c.close();
  });

  test('what is refused is told to each command of it', async () => {
    const o = options(() => ({ status: 413, body: { code: 'frame_too_large', detail: 'too large', retry: false } }));
    const { c, frames, errors } = sender(o);
    c.send([publish(1), publish(2)]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(frames).toMatchObject([
      { type: 'error', id: 1, channel: 'a', code: 'frame_too_large', message: 'too large' },
      { type: 'error', id: 2, channel: 'a', code: 'frame_too_large' },
    ]);
    expect(errors).toEqual([]);
    c.close();
  });

  test('a token that is refused ends the link, at once', async () => {
    const o = options(() => ({ status: 401, body: { code: 'token_expired' } }));
    const { c, errors } = sender(o);
    c.send([publish(1)]);
    await vi.advanceTimersByTimeAsync(0);
    expect(errors).toMatchObject([{ code: 'token_expired', status: 401 }]);
    c.close();
  });

  test('Retry-After is waited for; a gateway that is gone for good ends the link', async () => {
    const o = options(() => ({ status: 503, headers: { 'retry-after': '3' }, body: { code: 'unavailable', retry: true } }));
    const { c, errors } = sender(o);
    c.send([publish(1)]);
    await vi.advanceTimersByTimeAsync(2_900);
    expect(o.bodies.length).toBe(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(o.bodies.length).toBe(5);
    expect(errors).toMatchObject([{ code: 'unavailable', retryAfterMs: 3_000 }]);
    c.close();
  });
});

describe('polls', () => {
  const next = { type: 'next', channels: [{ channel: 'a', cursor: '2-2' }] };
  const gone = { type: 'error', code: 'replaced', message: 'a newer poll of this session goes on', retry: false };

  function poll(o: LinkOptions) {
    const downs: TallywireError[] = [];
    const link = openPoll(o, { open: () => {}, frames: () => {}, down: (e) => downs.push(e), rtt: () => {} });
    link.subscribe(1, [{ channel: 'a', cursor: '1-1' }]);
    return { link, downs };
  }

  test('wait shorter where a proxy cuts them', async () => {
    const cut = 9_000;
    const o = options(async (_, b) => {
      if (b.wait_ms > cut) {
        await new Promise((resolve) => setTimeout(resolve, cut));
        return 'lost';
      }
      await new Promise((resolve) => setTimeout(resolve, b.wait_ms));
      return { body: [next] };
    });
    const { link, downs } = poll(o);
    await vi.advanceTimersByTimeAsync(60_000);
    const waits = o.bodies.map((b) => b.wait_ms);
    expect(waits[0]).toBe(0);
    expect(waits[1]).toBe(25_000);
    expect(waits.at(-1)).toBeLessThan(cut);
    expect(waits.at(-1)).toBeGreaterThanOrEqual(4_000);
    expect(downs).toEqual([]);
    link.close();
    await vi.advanceTimersByTimeAsync(30_000);
  });

  test('do not go round and round where something answers at once with nothing', async () => {
    const o = options(() => ({ body: [next] }));
    const { link, downs } = poll(o);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(o.bodies.length).toBeLessThan(100);
    expect(o.bodies.length).toBeGreaterThan(5);
    expect(downs).toEqual([]);
    link.close();
  });

  test('go on where a poll that was given up comes late, and takes the place of the newer one', async () => {
    let replaced = 1;
    const o = options(async (_, b) => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return { body: b.wait_ms > 0 && replaced-- > 0 ? [gone, next] : [next] };
    });
    const { link, downs } = poll(o);
    await vi.advanceTimersByTimeAsync(610);
    expect(o.bodies.map((b) => b.wait_ms)).toEqual([0, 25_000, 25_000]); // again at once
    expect(downs).toEqual([]);
    link.close();
    await vi.advanceTimersByTimeAsync(1_000);
  });

  test('end where another client of the session takes their place again and again', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const times: number[] = [];
    const began = Date.now();
    const o = options((_, b) => {
      times.push(Date.now() - began);
      return { body: b.wait_ms > 0 ? [gone, next] : [next] };
    });
    const { downs } = poll(o);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(times).toEqual([0, 0, 0, 250, 750]);
    expect(downs).toMatchObject([{ code: 'replaced' }]);
  });

  test.each([
    ['no JSON of frames', { body: { hello: 'captive portal' } }],
    ['no end', { body: [] }],
  ])('end on an answer that is none of a gateway’s: %s', async (_name, reply) => {
    const { downs } = poll(options(() => reply));
    await vi.advanceTimersByTimeAsync(0);
    expect(downs).toMatchObject([{ code: 'bad_answer', retry: true }]);
  });
});

describe('server-sent events', () => {
  const text = ': hello\nretry: 1500\n\nid: a-1\ndata: [1]\n\nevent: x\ndata: [2,\ndata:3]\n\n:\n\ndata\n\n';

  test.each(['\n', '\r\n', '\r'])('are read wherever the pieces end (%j)', (end) => {
    const whole = text.replaceAll('\n', end);
    for (let size = 1; size <= whole.length; size++) {
      const data: string[] = [];
      const retries: number[] = [];
      const parse = sseParser({ data: (d) => data.push(d), retry: (ms) => retries.push(ms) });
      for (let i = 0; i < whole.length; i += size) parse(whole.slice(i, i + size));
      parse(':'); // what a \r at the very end waits for
      expect(data).toEqual(['[1]', '[2,\n3]', '']);
      expect(retries).toEqual([1500]);
    }
  });
});

test('Retry-After is read as seconds, or as a date by the server’s clock', () => {
  const h = (value: string, date?: string) => new Headers({ 'retry-after': value, ...(date && { date }) });
  expect(retryAfterMs(new Headers())).toBeUndefined();
  expect(retryAfterMs(h('7'))).toBe(7_000);
  expect(retryAfterMs(h('999999'))).toBe(300_000);
  expect(retryAfterMs(h('Tue, 24 Nov 2026 10:00:10 GMT', 'Tue, 24 Nov 2026 10:00:00 GMT'))).toBe(10_000);
  expect(retryAfterMs(h('Tue, 24 Nov 2026 10:00:10 GMT'))).toBeUndefined();
  expect(retryAfterMs(h('soon'))).toBeUndefined();
});
