import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTestServer, type TestServer } from '../../src/testing/index.js';
import { connect, RawClient } from './wire.js';

const start = new Date('2026-11-24T10:00:00Z');
let server: TestServer;

beforeEach(() => {
  vi.useFakeTimers({ now: start });
  server = createTestServer();
});

afterEach(() => {
  server.close();
  expect(vi.getTimerCount(), 'close leaves no timer').toBe(0);
  vi.useRealTimers();
});

describe('connect', () => {
  it('says who the client is and how long the token lasts', async () => {
    const c = await connect(server, server.token({ user: 'bob', ttlMs: 60_000 }), 's1');
    expect(c.take()).toEqual([
      { type: 'connected', id: 1, session: 's1', user: 'bob', gateway: 'gw-1', ping_ms: 25_000, expires: start.getTime() / 1000 + 60 },
    ]);
    expect(c.socket.protocol).toBe('tallywire.v1');
  });

  it('comes first, and within five seconds', async () => {
    const c = new RawClient(server);
    await c.opened;
    c.send({ type: 'subscribe', channel: 'a', id: 3 });
    await server.settled();
    expect(c.take()).toMatchObject([{ type: 'error', id: 3, code: 'not_connected', retry: false }]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(c.frames).toMatchObject([{ code: 'connect_timeout' }]);
    expect(c.closed).toEqual({ code: 4408, reason: 'connect_timeout', wasClean: true });
  });

  it('closes with 4401 after three tokens that are refused', async () => {
    server.fail('connect', { code: 'unauthorized', times: 3 });
    const c = await connect(server);
    expect(c.closed).toBeUndefined();
    c.send({ type: 'connect', token: 'x' }, { type: 'connect', token: 'y' });
    await server.settled();
    expect(c.of('error')).toHaveLength(4);
    expect(c.closed?.code).toBe(4401);
  });

  it('closes when the token ends, unless it is refreshed', async () => {
    const c = await connect(server, server.token({ ttlMs: 10_000 }));
    await vi.advanceTimersByTimeAsync(9_000);
    c.send({ type: 'refresh', id: 2, token: server.token({ ttlMs: 10_000 }) });
    await server.settled();
    expect(c.of('refreshed')).toEqual([{ type: 'refreshed', id: 2, expires: start.getTime() / 1000 + 19 }]);
    await vi.advanceTimersByTimeAsync(9_999);
    expect(c.closed).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(c.closed).toEqual({ code: 4401, reason: 'token_expired', wasClean: true });
  });

  it('refuses a refresh for another user', async () => {
    const c = await connect(server);
    c.send({ type: 'refresh', id: 2, token: server.token({ user: 'mallory' }) });
    await server.settled();
    expect(c.of('error')).toMatchObject([{ id: 2, code: 'unauthorized' }]);
  });
});

describe('events', () => {
  it('come in order with their cursors, and go on where a client stopped', async () => {
    const a = await connect(server);
    a.send({ type: 'subscribe', id: 2, channel: 'jobs:42' });
    await server.settled();
    const [subscribed] = a.of('subscribed');
    expect(subscribed).toMatchObject({ id: 2, channel: 'jobs:42', resumed: false, cursor: server.head('jobs:42') });
    const first = server.publish('jobs:42', { type: 'x', data: 1 });
    await server.settled();
    expect(a.of('event')).toEqual([{ type: 'event', channel: 'jobs:42', cursor: first, event: { type: 'x', data: 1 } }]);
    expect(first).toMatch(/^2-/);
    server.cut();
    await server.settled();
    expect(a.closed).toEqual({ code: 1006, reason: '', wasClean: false });

    const second = server.publish('jobs:42', { type: 'x', data: 2 });
    const b = await connect(server);
    b.send({ type: 'subscribe', channels: [{ channel: 'jobs:42', cursor: first }] });
    await server.settled();
    expect(b.of('subscribed')).toMatchObject([{ resumed: true, cursor: first, head: second }]);
    expect(b.of('event')).toMatchObject([{ cursor: second, event: { data: 2 } }]);
  });

  it('of one moment come in one message', async () => {
    const c = await connect(server);
    c.send({ type: 'subscribe', channel: 'a' });
    await server.settled();
    for (let n = 0; n < 3; n++) server.publish('a', { type: 'x', data: n });
    await server.settled();
    expect(c.messages.at(-1)).toHaveLength(3);
  });

  it('count what is left out, so that offsets have no holes', async () => {
    const c = await connect(server);
    c.send({ type: 'subscribe', channel: 'a', cursor: '0' });
    server.skip('a', 2);
    server.publish('a', { type: 'x' });
    await server.settled();
    server.skip('a', 1);
    await server.settled();
    expect(c.frames.filter((f) => f.type === 'event' || f.type === 'skip')).toMatchObject([
      { type: 'event', skipped: 2, cursor: expect.stringMatching(/^4-/) as string },
      { type: 'skip', skipped: 1, cursor: expect.stringMatching(/^5-/) as string },
    ]);
  });

  it('can be asked for from a time on', async () => {
    server.publish('a', { type: 'x', data: 'before' });
    await vi.advanceTimersByTimeAsync(1000);
    const at = new Date().toISOString();
    await vi.advanceTimersByTimeAsync(1000);
    server.publish('a', { type: 'x', data: 'after' });
    const c = await connect(server);
    c.send({ type: 'subscribe', channel: 'a', since: at });
    await server.settled();
    expect(c.of('event')).toMatchObject([{ event: { data: 'after' } }]);
  });

  it('that are ephemeral reach who listens now', async () => {
    const c = await connect(server);
    c.send({ type: 'subscribe', channel: 'a' }, { type: 'signal', id: 5, channel: 'a', event: { type: 'x.cursor' } });
    await server.settled();
    expect(c.of('published')).toEqual([{ type: 'published', id: 5, duplicate: false }]);
    expect(c.of('signal')).toEqual([{ type: 'signal', channel: 'a', event: { type: 'x.cursor', source: 'alice' } }]);
    expect(server.events('a')).toEqual([]);
  });
});

describe('resets', () => {
  async function resume(channel: string, cursor: string): Promise<RawClient> {
    const c = await connect(server);
    c.send({ type: 'subscribe', channel, cursor });
    await server.settled();
    return c;
  }

  it('trimmed: what comes after the cursor is not retained', async () => {
    const old = server.publish('a', { type: 'x', data: 1 });
    server.publish('a', { type: 'x', data: 2 });
    const kept = server.publish('a', { type: 'x', data: 3 });
    server.trim('a', 1);
    const c = await resume('a', old);
    expect(c.of('subscribed')).toMatchObject([{ resumed: false, cursor: old }]);
    expect(c.of('reset')).toMatchObject([{ reason: 'trimmed', cursor: expect.stringMatching(/^3-/) as string, head: kept }]);
    expect(c.of('event')).toMatchObject([{ event: { data: 3 } }]);
    expect(c.frames.map((f) => f.type)).toEqual(['connected', 'subscribed', 'reset', 'event']);
  });

  it('forked: other entries stand where the cursor was', async () => {
    const shared = server.publish('a', { type: 'x', data: 1 });
    const c = await resume('a', '0');
    await vi.advanceTimersByTimeAsync(5);
    const lost = server.publish('a', { type: 'x', data: 'lost' });
    await server.settled();
    server.fork('a', 1);
    await vi.advanceTimersByTimeAsync(5);
    server.publish('a', { type: 'x', data: 'instead' });
    await server.settled();
    expect(c.of('reset')).toMatchObject([{ reason: 'forked', cursor: shared }]);
    expect(c.of('event').map((f) => (f['event'] as { data: unknown }).data)).toEqual([1, 'lost', 'instead']);
    const late = await resume('a', lost);
    expect(late.of('reset')).toMatchObject([{ reason: 'forked', cursor: shared }]);
    expect(late.of('event')).toMatchObject([{ event: { data: 'instead' } }]);
  });

  it('expired: the stream is younger than the cursor', async () => {
    const old = server.publish('a', { type: 'x' });
    const listening = await resume('a', old);
    await vi.advanceTimersByTimeAsync(5);
    server.expire('a');
    await server.settled();
    expect(listening.of('reset')).toMatchObject([{ reason: 'expired', head: server.head('a') }]);
    const next = server.publish('a', { type: 'x' });
    const c = await resume('a', old);
    expect(c.of('reset')).toMatchObject([{ reason: 'expired', cursor: expect.stringMatching(/^1-/) as string }]);
    expect(c.of('event')).toMatchObject([{ cursor: next }]);
  });

  it('overrun: who listens is told trimmed', async () => {
    const c = await resume('a', '0');
    server.overrun('a', 5);
    await server.settled();
    expect(c.of('reset')).toMatchObject([{ reason: 'trimmed', cursor: server.head('a') }]);
  });

  it('forbidden: by a new token, or by the test', async () => {
    const c = await resume('a', '0');
    c.send({ type: 'subscribe', channel: 'b' });
    await server.settled();
    c.take();
    c.send({ type: 'refresh', token: server.token({ subscribe: ['b'] }) });
    await server.settled();
    expect(c.take().map((f) => [f.type, f['channel'], f['reason']])).toEqual([
      ['refreshed', undefined, undefined], ['reset', 'a', 'forbidden'], ['unsubscribed', 'a', undefined],
    ]);
    server.forbid('b');
    await server.settled();
    expect(c.take()).toMatchObject([{ type: 'reset', channel: 'b', reason: 'forbidden' }, { type: 'unsubscribed' }]);
  });
});

describe('publish', () => {
  it('is idempotent by the id for ten minutes', async () => {
    const c = await connect(server);
    const publish = { type: 'publish', channel: 'a', event: { id: 'e1', type: 'x' }, ack: 'replicated' };
    c.send({ ...publish, id: 1 }, { ...publish, id: 2 });
    await server.settled();
    const [first, second] = c.of('published');
    expect(first).toMatchObject({ id: 1, ack: 'replicated', duplicate: false });
    expect(second).toMatchObject({ id: 2, duplicate: true, cursor: first?.['cursor'] });
    expect(server.events('a')).toEqual([{ id: 'e1', type: 'x', source: 'alice' }]);
  });

  it.each([
    [{ channel: '_a', event: { type: 'x' } }, 'invalid_channel', '/channel'],
    [{ channel: 'a' }, 'invalid_event', undefined],
    [{ channel: 'a', event: { type: '' } }, 'invalid_event', '/type'],
    [{ channel: 'a', event: { type: 'x', data: 'x'.repeat(65 << 10) } }, 'invalid_event', undefined],
    [{ channel: 'a', event: { type: 'x' }, ack: 'eaten' }, 'invalid_frame', '/ack'],
    [{ channel: 'closed', event: { type: 'x' } }, 'forbidden', undefined],
  ])('%j is refused', async (frame, code, path) => {
    const c = await connect(server, server.token({ publish: ['a', '_a'] }));
    c.send({ type: 'publish', id: 9, ...frame });
    await server.settled();
    expect(c.of('error')).toMatchObject([{ id: 9, code, retry: false }]);
    expect(c.of('error')[0]?.['path']).toBe(path);
  });

  it('fails as a test wants it to', async () => {
    const c = await connect(server);
    server.fail('publish', { code: 'overloaded', channel: 'a', times: 1 });
    const publish = { type: 'publish', event: { type: 'x' } };
    c.send({ ...publish, channel: 'b' }, { ...publish, channel: 'a' }, { ...publish, channel: 'a' });
    await server.settled();
    expect(c.take().slice(1).map((f) => f.type)).toEqual(['published', 'error', 'published']);
  });

  it('is held against rules of the test', async () => {
    const strict = createTestServer({
      validate: (_, e) => (e.type === 'x' ? { path: '/data/percent', message: 'data.percent: must be <= 100' } : undefined),
    });
    const c = await connect(strict);
    c.send({ type: 'publish', channel: 'a', event: { type: 'x' } }, { type: 'publish', channel: 'a', event: { type: 'y' } });
    await strict.settled();
    expect(c.of('error')).toMatchObject([{ code: 'invalid_event', path: '/data/percent' }]);
    expect(c.of('published')).toHaveLength(1);
    strict.close();
  });
});
