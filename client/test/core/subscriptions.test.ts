import { describe, expect, test, vi } from 'vitest';
import type { CursorStorage, Signal } from '../../src/index.js';
import { settings } from '../../src/settings.js';
import { collect, numbered, rig, upTo } from './harness.js';

const frames = (server: { received: readonly { type: string }[] }, type: string) =>
  server.received.filter((f) => f.type === type);

describe('sharing', () => {
  test('a channel is subscribed once, whoever listens, and each begins where it wants', async () => {
    const { client, server, until } = rig();
    for (const n of upTo(3)) server.publish('jobs:1', numbered(n));
    const first = collect(client, 'jobs:1');
    await until(() => first.sub.getState().phase === 'live');
    server.publish('jobs:1', numbered(4));
    await until(() => first.events.length === 1);
    const second = collect(client, 'jobs:1');
    const third = collect(client, 'jobs:1', '0');
    const fourth = collect(client, 'jobs:1', first.events[0]?.cursor);
    server.publish('jobs:1', numbered(5));
    await until(() => third.events.length === 5);
    expect(first.numbers()).toEqual([4, 5]);
    expect(second.numbers()).toEqual([5]);
    expect(third.numbers()).toEqual(upTo(5));
    expect(fourth.numbers()).toEqual([5]);
    expect(frames(server, 'connect').length).toBe(1);
    expect(frames(server, 'subscribe').length).toBe(2);
  });

  test('a time is a beginning, too', async () => {
    const { client, server, run, until } = rig();
    server.publish('jobs:1', numbered(1));
    await run(10_000);
    const since = new Date();
    await run(10_000);
    const now = collect(client, 'jobs:1');
    await until(() => now.sub.getState().phase === 'live');
    server.publish('jobs:1', numbered(2));
    await until(() => now.events.length === 1);
    const then = collect(client, 'jobs:1', since);
    await until(() => then.events.length === 1);
    server.publish('jobs:1', numbered(3));
    await until(() => then.events.length === 2 && now.events.length === 2);
    expect(then.numbers()).toEqual([2, 3]);
    expect(now.numbers()).toEqual([2, 3]);
  });

  test('subscriptions of one turn are one request', async () => {
    const { client, server, until } = rig();
    const all = upTo(600).map((n) => collect(client, `jobs:${n}`));
    await until(() => all.every((x) => x.sub.getState().phase === 'live'));
    expect(frames(server, 'subscribe').length).toBe(3); // as many as messages can hold
  });

  test('who comes back soon finds the channel as it was', async () => {
    const { client, server, run, until } = rig();
    const first = collect(client, 'jobs:1');
    await until(() => first.sub.getState().phase === 'live');
    first.sub.close();
    server.publish('jobs:1', numbered(1));
    const second = collect(client, 'jobs:1');
    await run(5_000);
    server.publish('jobs:1', numbered(2));
    await until(() => second.events.length === 2);
    expect(first.numbers()).toEqual([]);
    expect(frames(server, 'subscribe').length).toBe(1);
    expect(frames(server, 'unsubscribe').length).toBe(0);
    second.sub.close();
    await run(5_000);
    expect(frames(server, 'unsubscribe').length).toBe(1);
    expect(server.connections[0]?.channels).toEqual([]);
  });
});

describe('handlers', () => {
  test('by type, with one for the rest; names of Object are none', async () => {
    const { client, server, until } = rig();
    const got: string[] = [];
    const sub = client.subscribe('jobs:1', {
      'a.b': (e) => got.push(`own ${e.type}`),
      '*': (e) => got.push(`rest ${e.type}`),
    });
    await until(() => sub.getState().phase === 'live');
    for (const type of ['a.b', 'c.d', 'constructor', 'to.string']) server.publish('jobs:1', { type });
    await until(() => got.length === 4);
    expect(got).toEqual(['own a.b', 'rest c.d', 'rest constructor', 'rest to.string']);
  });

  test('one that throws is reported, and stops neither others nor itself', async () => {
    const { client, server, until, errors } = rig();
    const seen: string[] = [];
    client.subscribe('jobs:1', () => {
      throw new Error('mine');
    });
    client.subscribe('jobs:1', async (e) => {
      seen.push(e.type);
      throw new Error('late');
    });
    const good = collect(client, 'jobs:1');
    await until(() => good.sub.getState().phase === 'live');
    server.publish('jobs:1', numbered(1));
    server.publish('jobs:1', numbered(2));
    await until(() => good.events.length === 2 && errors.length === 4);
    expect(seen.length).toBe(2);
    expect(errors.map((e) => [e.code, e.channel, (e.cause as Error).message]).sort()).toEqual([
      ['handler_failed', 'jobs:1', 'late'],
      ['handler_failed', 'jobs:1', 'late'],
      ['handler_failed', 'jobs:1', 'mine'],
      ['handler_failed', 'jobs:1', 'mine'],
    ]);
  });

  test('the cursor moves when the handler has run, and closing in a handler ends it there', async () => {
    const { client, server, until, run } = rig();
    const cursors: (string | undefined)[] = [];
    const sub = client.subscribe('jobs:1', (e) => {
      cursors.push(sub.getState().cursor);
      if (e.cursor.startsWith('3-')) sub.close();
    });
    await until(() => sub.getState().phase === 'live');
    const begin = sub.getState().cursor;
    const first = server.publish('jobs:1', numbered(1));
    server.publish('jobs:1', numbered(2));
    server.publish('jobs:1', numbered(3));
    await run(1_000);
    expect(cursors).toEqual([begin, first]);
  });

  test('an event says what the publisher left out', async () => {
    const { client, server, until } = rig();
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    server.publish('jobs:1', { type: 'x.y', data: [1], traceparent: '00-1', dataschema: 'later/9' });
    server.publish('jobs:1', { type: 'x.y', id: 'e1', source: 's', subject: 'job/1', time: '2020-01-01T00:00:00Z' });
    await until(() => got.events.length === 2);
    const [bare, full] = got.events;
    expect(bare).toMatchObject({ channel: 'jobs:1', source: 'jobs:1', id: `jobs:1/${bare?.cursor}`, subject: undefined, skipped: 0 });
    expect(Date.parse(bare?.time ?? '')).toBe(Math.floor(Number(bare?.cursor.split('-')[1]) / 1000));
    expect(bare?.attributes).toMatchObject({ traceparent: '00-1', dataschema: 'later/9', data: [1] });
    expect(full).toMatchObject({ id: 'e1', source: 's', subject: 'job/1', time: '2020-01-01T00:00:00Z' });
  });

  test('signals come to who listens, and are no events', async () => {
    const { client, server, until } = rig();
    const signals: Signal[] = [];
    const sub = client.subscribe('jobs:1', () => expect.unreachable(), { onSignal: (s) => signals.push(s) });
    await until(() => sub.getState().phase === 'live');
    expect(client.signal('jobs:1', { type: 'x.cursor', data: { row: 4 } })).toBe(true);
    server.signal('jobs:1', { type: 'x.cursor', data: { row: 5 } });
    await until(() => signals.length === 2);
    expect(signals.map((s) => s.data)).toEqual(expect.arrayContaining([{ row: 4 }, { row: 5 }]));
  });
});

describe('losses', () => {
  test('a frame that is lost on the way is a gap, which is settled', async () => {
    const { client, server, until, errors } = rig();
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    server.publish('jobs:1', numbered(1));
    await until(() => got.events.length === 1);
    const undo = server.dropFrames((f) => f['type'] === 'event' && JSON.stringify(f).includes('"n":2'));
    server.publish('jobs:1', numbered(2));
    await until(() => true);
    undo();
    server.publish('jobs:1', numbered(3));
    await until(() => got.events.length === 3);
    expect(got.numbers()).toEqual([1, 2, 3]);
    expect(got.resets).toEqual([]);
    expect(errors.map((e) => e.code)).toEqual(['violation']);
  });

  test('what is left out on purpose is counted, and is no gap', async () => {
    const { client, server, until, errors } = rig();
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    server.publish('jobs:1', numbered(1));
    server.skip('jobs:1', 3);
    server.publish('jobs:1', numbered(2));
    server.skip('jobs:1', 2);
    await until(() => got.sub.getState().cursor === server.head('jobs:1'));
    expect(got.events.map((e) => e.skipped)).toEqual([0, 3]);
    expect(errors).toEqual([]);
  });

  test.each(['forked', 'expired', 'trimmed'] as const)('%s is told, and what follows is delivered', async (reason) => {
    const { client, server, until } = rig();
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    for (const n of upTo(4)) server.publish('jobs:1', numbered(n));
    await until(() => got.events.length === 4);
    if (reason === 'forked') server.fork('jobs:1', 2);
    else if (reason === 'expired') server.expire('jobs:1');
    else server.overrun('jobs:1', 3);
    server.publish('jobs:1', numbered(9));
    await until(() => got.events.length === 5);
    expect(got.numbers()).toEqual([1, 2, 3, 4, 9]);
    expect(got.resets).toEqual([reason]);
    expect(got.sub.getState().phase).toBe('live');
  });

  test('forbidden ends it until another token allows it', async () => {
    let allowed = true;
    const { client, server, until } = rig({ token: () => server.token(allowed ? {} : { subscribe: ['other'] }) });
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    server.forbid('jobs:1');
    await until(() => got.sub.getState().phase === 'failed');
    expect(got.resets).toEqual(['forbidden']);
    expect(got.sub.getState().error?.code).toBe('forbidden');
    server.publish('jobs:1', numbered(1));
    allowed = true;
    client.reconnect();
    await until(() => got.events.length === 1);
    expect(got.sub.getState()).toMatchObject({ phase: 'live', error: undefined });
  });

  test('a refusal is told to who asked; trouble that passes is tried again', async () => {
    const { client, server, until, errors } = rig();
    const told: string[] = [];
    server.fail('subscribe', { code: 'forbidden', channel: 'jobs:1' });
    server.fail('subscribe', { code: 'unavailable', channel: 'jobs:2', times: 3 });
    const one = client.subscribe('jobs:1', () => {}, { onError: (e) => told.push(e.code) });
    const two = client.subscribe('jobs:2', () => {}, { onError: (e) => told.push(e.code) });
    await until(() => one.getState().phase === 'failed' && two.getState().phase === 'live');
    expect(told).toEqual(['forbidden', 'unavailable', 'unavailable', 'unavailable']);
    expect(errors).toEqual([]);
  });
});

test('10,000 events in a second are delivered in slices that give way', async () => {
  const { client, server, until } = rig();
  vi.useRealTimers();
  const got = collect(client, 'jobs:1');
  await vi.waitFor(() => expect(got.sub.getState().phase).toBe('live'));
  let turns = 0;
  let shown = 0;
  got.sub.onState(() => shown++);
  const tick = () => {
    turns++;
    if (got.events.length < 10_000) setTimeout(tick);
  };
  setTimeout(tick);
  // Handlers that take 10 microseconds each.
  const slow = client.subscribe('jobs:1', () => {
    const end = performance.now() + 0.01;
    while (performance.now() < end);
  });
  await vi.waitFor(() => expect(slow.getState().phase).toBe('live'));
  for (const n of upTo(10_000)) server.publish('jobs:1', numbered(n));
  await vi.waitFor(() => expect(got.events.length).toBe(10_000), { timeout: 10_000 });
  expect(got.numbers()).toEqual(upTo(10_000));
  expect(turns).toBeGreaterThan(4);
  expect(shown).toBeLessThan(2_000);
  void until;
});

describe('cursors across reloads', () => {
  const memory = () => {
    const all = new Map<string, string>();
    return {
      all,
      getItem: (k: string) => all.get(k) ?? null,
      setItem: (k: string, v: string) => void all.set(k, v),
      removeItem: (k: string) => void all.delete(k),
    } satisfies CursorStorage & { all: Map<string, string> };
  };

  test('are kept, and gone on from', async () => {
    const storage = memory();
    const { client, server, until } = rig({ persist: storage });
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    server.publish('jobs:1', numbered(1));
    await until(() => got.events.length === 1);
    await client.close();
    server.publish('jobs:1', numbered(2));
    const { createClient } = await import('../../src/index.js');
    const next = createClient<Record<string, unknown>>({ ...server.options, token: server.token(), persist: storage });
    const more = collect(next, 'jobs:1');
    await until(() => more.events.length === 1);
    expect(more.numbers()).toEqual([2]);
    await next.close();
  });

  test('a storage that refuses is done without', async () => {
    const full: CursorStorage = {
      getItem: () => {
        throw new Error('denied');
      },
      setItem: () => {
        throw new Error('full');
      },
      removeItem: () => {},
    };
    const { client, server, until, errors } = rig({ persist: full });
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    server.publish('jobs:1', numbered(1));
    await until(() => got.events.length === 1);
    expect(errors).toEqual([]);
  });
});

test('a URL may be a path, or nothing, of the page’s origin', () => {
  vi.stubGlobal('location', { origin: 'https://app.example', href: 'https://app.example/jobs/42?x#y' });
  expect(settings({ url: '' }).base).toBe('https://app.example');
  expect(settings({ url: '/realtime/' }).base).toBe('https://app.example/realtime');
  expect(settings({ url: 'wss://gw.example:8443/tw/' }).base).toBe('https://gw.example:8443/tw');
  vi.unstubAllGlobals();
  expect(settings({ url: 'ws://127.0.0.1:8080' }).base).toBe('http://127.0.0.1:8080');
});

test('bad arguments are refused where they are made', () => {
  const { client } = rig();
  expect(() => client.subscribe('_reserved', () => {})).toThrow(/channel/);
  expect(() => client.subscribe('a b', () => {})).toThrow(/channel/);
  expect(() => client.subscribe('jobs:1', () => {}, { from: 'yesterday' })).toThrow(/from/);
  expect(() => client.presence('{x}')).toThrow(/channel/);
  expect(() => rig({ url: 'ftp://x' })).toThrow(/url/);
  expect(() => rig({ url: 'http://user@host' })).toThrow(/url/);
});
