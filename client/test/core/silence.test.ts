import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Ask, Conn } from '../../src/conn.js';
import type { Link } from '../../src/transport/link.js';
import { watchdog } from '../../src/watchdog.js';
import { collect, numbered, rig, upTo } from './harness.js';

const unanswered = (f: Readonly<Record<string, unknown>>) => f['type'] === 'subscribed';
const count = (r: { server: { received: readonly { type: string }[] } }, type: string) => r.server.received.filter((f) => f.type === type).length;

describe.each(['websocket', 'sse', 'poll'] as const)('a subscribe without an answer, over %s', (transport) => {
  test('is repeated on the connection', async () => {
    const r = rig({ transports: [transport] });
    const { client, server, until, run, status } = r;
    const other = collect(client, 'jobs:2');
    await until(() => other.sub.getState().phase === 'live');
    const states = new Set<string>();
    client.onStatus(() => states.add(status().status));
    const undo = server.dropFrames(unanswered);
    const got = collect(client, 'jobs:1');
    await run(5_000);
    undo();
    // A poll says with its next answer that it goes on: nothing is missing there.
    await until(() => got.sub.getState().phase === 'live', 10_000);
    server.publish('jobs:1', numbered(1));
    await until(() => got.events.length === 1);
    await run(60_000);
    expect([...states].filter((s) => s !== 'live')).toEqual([]);
    expect(got.numbers()).toEqual([1]);
  });
});

describe('a subscribe without an answer', () => {
  test('twice is a connection that is given up, and says why', async () => {
    const r = rig({ transports: ['websocket'] });
    const { client, server, until, run, status } = r;
    const undo = server.dropFrames(unanswered);
    const got = collect(client, 'jobs:1');
    await run(20_000);
    expect(count(r, 'connect')).toBe(1);
    expect(count(r, 'subscribe')).toBe(2);
    const errors: unknown[] = [];
    client.onStatus(() => errors.push(status().lastError));
    await run(10_000);
    expect(count(r, 'connect')).toBe(2);
    expect(errors).toContainEqual(expect.objectContaining({ code: 'timeout', channel: 'jobs:1', retry: true }));
    undo();
    await until(() => got.sub.getState().phase === 'live', 60_000);
    expect(status()).toMatchObject({ status: 'live', lastError: null });
  });

  test('for an hour disturbs what is live less and less', async () => {
    const r = rig({ transports: ['websocket'] });
    const { client, server, until, run } = r;
    server.dropFrames((f) => unanswered(f) && f['channel'] === 'jobs:1');
    collect(client, 'jobs:1');
    const got = collect(client, 'jobs:2');
    await until(() => got.sub.getState().phase === 'live');
    for (const n of upTo(60)) {
      server.publish('jobs:2', numbered(n));
      await run(60_000);
    }
    await until(() => got.events.length === 60);
    expect(got.numbers()).toEqual(upTo(60));
    expect(count(r, 'connect')).toBeGreaterThan(3);
    expect(count(r, 'connect')).toBeLessThan(15);
  });

  test('is waited for while the gateway says that its store is away', async () => {
    const r = rig({ transports: ['websocket'] });
    const { client, server, until, run, status } = r;
    await Promise.all([client.connect(), until(() => status().status === 'live')]);
    server.degrade('the store is away');
    const undo = server.dropFrames(unanswered);
    const got = collect(client, 'jobs:1');
    await run(300_000);
    expect([count(r, 'connect'), count(r, 'subscribe')]).toEqual([1, 1]);
    server.degrade(undefined);
    undo();
    await until(() => got.sub.getState().phase === 'live', 15_000);
    expect([count(r, 'connect'), count(r, 'subscribe')]).toEqual([1, 2]);
  });

  test('is none where the gateway asks to come back later', async () => {
    const r = rig({ transports: ['websocket'] });
    const { client, server, until, run } = r;
    const undo = server.fail('subscribe', { code: 'unavailable', times: Infinity });
    const got = collect(client, 'jobs:1');
    await run(120_000);
    expect(count(r, 'connect')).toBe(1);
    undo();
    await until(() => got.sub.getState().phase === 'live');
  });

  test('ends with its subscription', async () => {
    const r = rig({ transports: ['websocket'] });
    const { client, server, run } = r;
    server.dropFrames(unanswered);
    const got = collect(client, 'jobs:1');
    await run(15_000);
    got.sub.close();
    await run(120_000);
    expect([count(r, 'connect'), count(r, 'subscribe')]).toEqual([1, 2]);
    collect(client, 'jobs:1');
    await run(1_000);
    await client.close();
    server.close();
    await run();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('an answer that waits for its turn', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each([
    ['is one', { type: 'subscribed', id: 7, channel: 'a' }],
    ['refuses all at once', { type: 'error', id: 7, code: 'unavailable' }],
  ])('%s', async (_name, frame) => {
    vi.useFakeTimers();
    const asks = new Map<string, Ask>([['a', { id: 7, sent: undefined }]]);
    const c: Conn = { link: {} as Link, token: undefined, asks, up: 1, expires: undefined, rttMs: null };
    const did: string[] = [];
    const dog = watchdog({ current: () => c, degraded: () => false, ask: (name) => did.push(name), fail: (e) => did.push(e.code) });
    dog.asked(c);
    dog.answer(frame);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(did).toEqual([]);
    asks.set('a', { id: 8, sent: undefined });
    dog.asked(c);
    dog.answer(frame); // to another ask
    await vi.advanceTimersByTimeAsync(13_000);
    expect(did).toEqual(['a']);
    dog.stop();
  });
});
