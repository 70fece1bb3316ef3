import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTestServer, type TestServer } from '../../src/testing/index.js';
import { connect, RawClient } from './wire.js';

let server: TestServer;

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-11-24T10:00:00Z') });
  server = createTestServer();
});

afterEach(() => {
  server.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

it('refuses, and accepts again', async () => {
  server.refuse('websocket');
  const c = new RawClient(server);
  await server.settled();
  expect(c.closed).toEqual({ code: 1006, reason: '', wasClean: false });
  server.accept();
  expect((await connect(server)).of('connected')).toHaveLength(1);
});

it('reaches nobody at another address', async () => {
  const socket = new server.WebSocket('ws://elsewhere.test/v1/ws');
  const closed = new Promise<number>((resolve) => {
    socket.onclose = ({ code }: { code: number }) => resolve(code);
  });
  expect(await closed).toBe(1006);
  await expect(server.fetch('http://elsewhere.test/v1/poll')).rejects.toThrow('fetch failed');
});

it('freezes: nothing gets through, and arrives after the thaw', async () => {
  const c = await connect(server);
  c.send({ type: 'subscribe', channel: 'a' });
  await server.settled();
  server.freeze();
  server.publish('a', { type: 'x' });
  c.send({ type: 'publish', channel: 'a', event: { type: 'y' } });
  const late = new RawClient(server);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(c.of('event')).toEqual([]);
  expect(late.socket.readyState).toBe(0);
  server.thaw();
  await server.settled();
  expect(c.of('event')).toMatchObject([{ event: { type: 'x' } }, { event: { type: 'y' } }]);
  expect(late.socket.readyState).toBe(1);
});

it('is cut silently: the server forgets the client, which hears nothing', async () => {
  const c = await connect(server);
  server.cut({ silent: true });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(server.connections).toEqual([]);
  expect(c.closed).toBeUndefined();
});

it('takes its time', async () => {
  server.delay(100);
  const c = new RawClient(server);
  await vi.advanceTimersByTimeAsync(199);
  expect(c.socket.readyState).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(c.socket.readyState).toBe(1);
});

it('keeps the order when the delay shrinks', async () => {
  const c = await connect(server);
  c.send({ type: 'subscribe', channel: 'a' });
  await server.settled();
  server.delay(100);
  server.publish('a', { type: 'x', data: 1 });
  await server.settled();
  server.delay(0);
  server.publish('a', { type: 'x', data: 2 });
  await vi.advanceTimersByTimeAsync(100);
  expect(c.of('event').map((f) => (f['event'] as { data: unknown }).data)).toEqual([1, 2]);
});

it('loses frames: some, or those of a kind', async () => {
  const c = await connect(server);
  c.send({ type: 'subscribe', channel: 'a' });
  await server.settled();
  server.dropFrames(1);
  server.publish('a', { type: 'x', data: 1 });
  server.publish('a', { type: 'x', data: 2 });
  await server.settled();
  expect(c.of('event')).toMatchObject([{ event: { data: 2 } }]);
  const undo = server.dropFrames((f) => f.type === 'published');
  c.send({ type: 'publish', id: 1, channel: 'a', event: { type: 'x' } });
  await server.settled();
  undo();
  c.send({ type: 'publish', id: 2, channel: 'a', event: { type: 'x' } });
  await server.settled();
  expect(c.of('published')).toMatchObject([{ id: 2 }]);
  expect(server.events('a')).toHaveLength(4);
});

it('pings a client that is silent, and drops it after twice the time', async () => {
  const c = await connect(server);
  await vi.advanceTimersByTimeAsync(25_000);
  expect(c.of('ping')).toHaveLength(1);
  c.send({ type: 'pong' });
  await vi.advanceTimersByTimeAsync(49_999);
  expect(c.closed).toBeUndefined();
  await vi.advanceTimersByTimeAsync(1);
  expect(c.closed?.code).toBe(1006);
});

it('closes a client that sends rubbish', async () => {
  const c = await connect(server);
  for (let n = 0; n <= 100; n++) c.socket.send('?');
  await server.settled();
  expect(c.closed?.code).toBe(4429);
});

it('says moving, and closes who has not moved', async () => {
  const c = await connect(server);
  server.moving(1000);
  await server.settled();
  expect(c.of('moving')).toEqual([{ type: 'moving', after_ms: 1000 }]);
  const next = await connect(server);
  await vi.advanceTimersByTimeAsync(1250);
  expect(c.closed?.code).toBe(1012);
  expect(next.closed).toBeUndefined();
});

it('says degraded, also to who comes later', async () => {
  const c = await connect(server);
  server.degrade('no pong');
  await server.settled();
  expect(c.of('degraded')).toMatchObject([{ degraded: true, reason: 'no pong' }]);
  expect((await connect(server)).of('degraded')).toHaveLength(1);
  server.degrade(undefined);
  await server.settled();
  expect(c.of('degraded')[1]).toEqual({ type: 'degraded', degraded: false, since_ms: Date.now() });
});

describe('tokens', () => {
  it('expire all at once', async () => {
    const c = await connect(server, 'old');
    server.expireTokens();
    await server.settled();
    expect(c.of('error')).toMatchObject([{ code: 'token_expired' }]);
    expect(c.closed?.code).toBe(4401);
    expect((await connect(server, 'old')).of('error')).toMatchObject([{ code: 'token_expired' }]);
    expect((await connect(server, 'new')).of('connected')).toHaveLength(1);
  });

  it('are revoked by their user', async () => {
    const mine = server.token({ user: 'mallory' });
    const [bad, good] = [await connect(server, mine), await connect(server)];
    server.revoke('mallory');
    await server.settled();
    expect([bad.closed?.code, good.closed?.code]).toEqual([4401, undefined]);
    expect((await connect(server, mine)).of('error')).toMatchObject([{ code: 'token_revoked' }]);
  });

  it('are asked for where the options say so', async () => {
    expect((await connect(server, '')).of('connected')).toHaveLength(1);
    const strict = createTestServer({ requireToken: true });
    expect((await connect(strict, '')).of('error')).toMatchObject([{ code: 'unauthorized' }]);
    strict.close();
  });

  it('allow what they say', async () => {
    const c = await connect(server, server.token({ user: 'al', subscribe: ['jobs:*', 'user:$user'] }));
    c.send({ type: 'subscribe', id: 2, channels: ['jobs:1', 'user:al', 'user:bob', 'job'] });
    await server.settled();
    expect(c.of('subscribed').map((f) => f['channel'])).toEqual(['jobs:1', 'user:al']);
    expect(c.of('error')).toMatchObject([{ code: 'forbidden', channel: 'user:bob' }, { code: 'forbidden', channel: 'job' }]);
  });
});

describe('what a test sees', () => {
  it('waits for a frame', async () => {
    const c = await connect(server, undefined, 's1');
    const next = server.next('subscribe');
    c.send({ type: 'subscribe', channel: 'a' });
    expect(await next).toMatchObject({ transport: 'websocket', session: 's1', frame: { channels: [{ channel: 'a' }] } });
    expect(server.connections).toEqual([
      { transport: 'websocket', session: 's1', user: 'alice', channels: ['a'], present: [] },
    ]);
  });

  it('waits for a connection to end', async () => {
    const c = await connect(server);
    const over = server.until(() => server.connections.length === 0);
    c.socket.close();
    await over;
    await server.settled();
    expect(c.closed).toEqual({ code: 1005, reason: '', wasClean: true });
  });
});

describe('a request that is lost in silence', () => {
  it('ends when the client gives it up', async () => {
    const abort = new AbortController();
    const answer = server.fetch(`${server.url}/v1/poll?channel=a@${server.head('a')}`, { signal: abort.signal });
    await server.until(() => server.connections.length === 1);
    server.cut({ silent: true });
    expect(server.connections).toEqual([]);
    abort.abort();
    await expect(answer).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('has a body that ends when the client gives it up', async () => {
    const abort = new AbortController();
    const answer = await server.fetch(`${server.url}/v1/sse?channel=a`, { signal: abort.signal });
    server.cut({ silent: true });
    const text = answer.text();
    abort.abort();
    await expect(text).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('leaves no listener once it is given up', async () => {
    const abort = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = AbortSignal.prototype;
    vi.spyOn(abort.signal, 'addEventListener').mockImplementation(function (this: AbortSignal, ...args: Parameters<AbortSignal['addEventListener']>) {
      listeners++;
      addEventListener.apply(this, args);
    });
    vi.spyOn(abort.signal, 'removeEventListener').mockImplementation(function (this: AbortSignal, ...args: Parameters<AbortSignal['removeEventListener']>) {
      listeners--;
      removeEventListener.apply(this, args);
    });
    const lost = server.fetch(`${server.url}/v1/poll?channel=a@${server.head('a')}`, { signal: abort.signal });
    const answered = server.fetch(`${server.url}/v1/poll?channel=a&wait_ms=0`, { signal: abort.signal });
    await answered;
    server.cut({ silent: true });
    abort.abort();
    await expect(lost).rejects.toMatchObject({ name: 'AbortError' });
    expect(listeners).toBe(0);
  });
});
