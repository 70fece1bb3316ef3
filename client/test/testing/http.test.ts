import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTestServer, type Frame, type TestServer } from '../../src/testing/index.js';
import { connect } from './wire.js';

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

function post(path: string, body: object, init: RequestInit = {}): Promise<Response> {
  const headers = { Authorization: 'Bearer anything', ...(init.headers as Record<string, string> | undefined) };
  return server.fetch(`${server.url}${path}`, { method: 'POST', ...init, headers, body: JSON.stringify(body) });
}

async function poll(body: object, init?: RequestInit): Promise<Frame[]> {
  return (await (await post('/v1/poll', body, init)).json()) as Frame[];
}

describe('poll', () => {
  it('gives a cursor at once, then waits for what comes after it', async () => {
    const first = await poll({ channels: [{ channel: 'a' }], session: 's1' });
    expect(first.map((f) => f.type)).toEqual(['subscribed', 'next']);
    const next = first.at(-1)?.['channels'];
    expect(next).toEqual([{ channel: 'a', cursor: server.head('a') }]);
    const waiting = poll({ channels: next, session: 's1' });
    await server.until(() => server.connections.length === 1);
    expect(server.connections).toMatchObject([{ transport: 'poll', session: 's1', channels: ['a'] }]);
    const cursor = server.publish('a', { type: 'x' });
    expect(await waiting).toMatchObject([
      { type: 'event', cursor, event: { type: 'x' } }, { type: 'next', channels: [{ channel: 'a', cursor }] },
    ]);
    expect(server.connections).toEqual([]);
  });

  it('answers with nothing when it has waited', async () => {
    const answer = poll({ channels: [{ channel: 'a', cursor: server.head('a') }], wait_ms: 5000 });
    await vi.advanceTimersByTimeAsync(5000);
    expect(await answer).toMatchObject([{ type: 'next' }]);
  });

  it('resets a cursor that it cannot honour', async () => {
    const old = server.publish('a', { type: 'x' });
    server.publish('a', { type: 'x' });
    server.trim('a', 0);
    expect(await poll({ channels: [{ channel: 'a', cursor: old }] })).toMatchObject([
      { type: 'subscribed', resumed: false }, { type: 'reset', reason: 'trimmed' }, { type: 'next' },
    ]);
  });

  it('answers for each channel, and as a problem where none is left', async () => {
    const token = { headers: { Authorization: `Bearer ${server.token({ subscribe: ['a'] })}` } };
    const mixed = await poll({ channels: [{ channel: 'b' }, { channel: 'a' }] }, token);
    expect(mixed.map((f) => [f.type, f['code']])).toEqual([['error', 'forbidden'], ['subscribed', undefined], ['next', undefined]]);
    const none = await post('/v1/poll', { channels: [{ channel: 'b' }] }, token);
    expect(none.status).toBe(403);
    expect(await none.json()).toMatchObject({ code: 'forbidden', channel: 'b', retry: false, status: 403 });
  });

  it('says 401 for a token that is not accepted', async () => {
    server.fail('connect', { code: 'token_revoked' });
    const answer = await post('/v1/poll', { channels: [{ channel: 'a' }] });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([401, 'application/problem+json']);
    expect(await answer.json()).toMatchObject({ code: 'token_revoked', retry: false });
  });

  it('is replaced by a newer one of the session', async () => {
    const ask = { session: 's1', channels: [{ channel: 'a', cursor: server.head('a') }] };
    const older = poll(ask);
    await server.settled();
    const newer = poll(ask);
    expect((await older).map((f) => f['code'])).toEqual(['replaced', undefined]);
    server.publish('a', { type: 'x' });
    expect(await newer).toMatchObject([{ type: 'event' }, { type: 'next' }]);
  });

  it('goes on by its composite, and tells that nothing has changed', async () => {
    const at = server.publish('a', { type: 'x' });
    const get = (query: string, headers = {}): Promise<Response> =>
      server.fetch(`${server.url}/v1/poll?${query}`, { headers: { Authorization: 'Bearer t', ...headers } });
    const first = await get(`channel=a@${at}&wait_ms=0`);
    const cursors = encodeURIComponent(((await first.json()) as Frame[]).at(-1)?.['cursors'] as string);
    const same = { 'If-None-Match': first.headers.get('etag') };
    expect((await get(`channel=a&cursors=${cursors}&wait_ms=0`, same)).status).toBe(304);
    server.publish('a', { type: 'y' });
    const changed = await get(`channel=a&cursors=${cursors}&wait_ms=0`, same);
    expect(changed.status).toBe(200);
    expect(((await changed.json()) as Frame[])[0]).toMatchObject({ type: 'event', event: { type: 'y' } });
  });

  it('moves when the gateway ends', async () => {
    const answer = post('/v1/poll', { channels: [{ channel: 'a', cursor: server.head('a') }] });
    await server.settled();
    server.moving();
    const response = await answer;
    expect(response.headers.get('connection')).toBe('close');
    expect(((await response.json()) as Frame[]).map((f) => f.type)).toEqual(['moving', 'next']);
    await vi.advanceTimersByTimeAsync(10);
  });

  it.each([
    [{}, '/channels'],
    [{ channels: ['a'] }, '/channels'],
    [{ channels: [{ channel: 'a' }, { channel: 'a' }] }, '/channels'],
    [{ channels: [{ channel: 'a' }], wait_ms: 60_001 }, '/wait_ms'],
    [{ channels: [{ channel: 'a' }], present: [{ channel: 'a' }] }, '/session'],
  ])('%j is no request', async (body, path) => {
    const answer = await post('/v1/poll', body);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: 'invalid_request', path });
  });

  it('is aborted, cut, and refused as fetch is', async () => {
    const ask = { channels: [{ channel: 'a', cursor: server.head('a') }] };
    const controller = new AbortController();
    const aborted = post('/v1/poll', ask, { signal: controller.signal });
    const cut = post('/v1/poll', ask);
    const outcomes = Promise.allSettled([aborted, cut]);
    await server.settled();
    controller.abort();
    server.cut();
    expect(await outcomes).toMatchObject([{ reason: { name: 'AbortError' } }, { reason: { message: 'network error' } }]);
    server.refuse('poll');
    await expect(post('/v1/poll', ask)).rejects.toThrow('fetch failed');
  });
});

describe('event stream', () => {
  /** Opens a stream and returns what is read of it next. */
  async function open(body: object, headers: Record<string, string> = {}): Promise<() => Promise<string | undefined>> {
    const response = await post('/v1/sse', body, { headers: { Accept: 'text/event-stream', ...headers } });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const reader = response.body?.getReader();
    return async () => {
      const chunk = await reader?.read();
      return chunk?.done ? undefined : new TextDecoder().decode(chunk?.value);
    };
  }

  it('says connected, subscribed, and each event with the cursors of all', async () => {
    const read = await open({ channels: [{ channel: 'a' }], session: 's1' });
    expect(await read()).toBe('retry: 1000\n\n');
    expect(await read()).toMatch(/^id: .+\ndata: \[\{"type":"connected".*"type":"subscribed".*\]\n\n$/);
    server.publish('a', { type: 'x' });
    const [, id, data] = /^id: (.*)\ndata: (.*)\n\n$/.exec((await read()) ?? '') ?? [];
    expect(JSON.parse(data ?? '')).toMatchObject([{ type: 'event', event: { type: 'x' } }]);
    server.cut();
    server.publish('a', { type: 'y' });
    const again = await open({ channels: [{ channel: 'a' }] }, { 'Last-Event-ID': id ?? '' });
    await again();
    expect(await again()).toMatch(/"resumed":true.*"type":"y"/);
  });

  it('breaks its silence every fifteen seconds', async () => {
    const read = await open({ channels: [{ channel: 'a' }] });
    await read();
    await read();
    const beat = read();
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await beat).toBe(':\n\n');
  });

  it('ends with its token', async () => {
    const read = await open({ channels: [{ channel: 'a' }] }, { Authorization: `Bearer ${server.token({ ttlMs: 1000 })}` });
    await read();
    await read();
    await vi.advanceTimersByTimeAsync(1000);
    expect(await read()).toContain('token_expired');
    expect(await read()).toBeUndefined();
  });

  it('breaks when it is cut', async () => {
    const read = await open({ channels: [{ channel: 'a' }] });
    await read();
    await read();
    const broken = expect(read()).rejects.toThrow('network error');
    server.cut();
    await broken;
  });
});

describe('commands', () => {
  const publish = (id: number): object => ({ type: 'publish', id, channel: 'a', event: { type: 'x', data: id } });

  it('are done in their order, once', async () => {
    const one = await post('/v1/commands', { session: 's1', seq: 1, frames: [publish(1), publish(2)] });
    const answers = (await one.json()) as Frame[];
    expect(answers.map((f) => [f.type, f['id']])).toEqual([['published', 1], ['published', 2]]);
    const again = await post('/v1/commands', { session: 's1', seq: 1, frames: [publish(1), publish(2)] });
    expect(await again.json()).toEqual(answers);
    expect(server.events('a')).toHaveLength(2);
    const ahead = await post('/v1/commands', { session: 's1', seq: 3, frames: [publish(3)] });
    expect(ahead.status).toBe(409);
    expect(await ahead.json()).toMatchObject({ code: 'out_of_order', expected: 2 });
  });

  it('need no order', async () => {
    const answer = await post('/v1/commands', { frames: [{ type: 'ping' }, { type: 'subscribe', id: 1, channel: 'a' }] });
    expect(await answer.json()).toMatchObject([{ type: 'pong' }, { type: 'error', id: 1, code: 'unsupported' }]);
  });

  it('are seen by the test', async () => {
    await post('/v1/commands', { session: 's1', frames: [publish(1)] });
    expect(server.received).toMatchObject([{ transport: 'commands', session: 's1', type: 'publish' }]);
  });
});

it('takes the token from a cookie', async () => {
  expect((await post('/v1/cookie', {})).status).toBe(204);
  expect((await server.fetch('/v1/poll?channel=a&wait_ms=0')).status).toBe(200);
});

describe('presence', () => {
  it('is joined, changed and left, and told to who watches', async () => {
    const a = await connect(server, server.token({ user: 'alice', name: 'Alice A.' }));
    a.send({ type: 'presence', id: 4, channel: 'm', status: { row: 1 } });
    await server.settled();
    expect(a.take().slice(1)).toMatchObject([
      { type: 'members', count: 1, sessions: 1, members: [{ user: 'alice', name: 'Alice A.', state: 'live', status: { row: 1 } }] },
      { type: 'present', id: 4, channel: 'm' },
    ]);
    const b = await connect(server, server.token({ user: 'bob' }), 'b1');
    b.send({ type: 'presence', channel: 'm' });
    await server.settled();
    const [join] = a.take();
    expect(join).toMatchObject({ type: 'member', action: 'join', member: { user: 'bob', sessions: 1 } });
    b.send({ type: 'presence', channel: 'm', status: 'here' });
    await server.settled();
    const [update] = a.take();
    expect(update).toMatchObject({ action: 'update', prev: join?.['version'], member: { user: 'bob', status: 'here' } });
    b.send({ type: 'presence', id: 5, channel: 'm', leave: true }, { type: 'presence', id: 6, channel: 'm', leave: true });
    await server.settled();
    expect(a.take()).toMatchObject([{ action: 'leave', member: { user: 'bob' } }]);
    expect(b.of('error')).toMatchObject([{ id: 6, code: 'not_subscribed' }]);
  });

  it('outlives a connection for the grace, and moves without a leave', async () => {
    const watcher = await connect(server);
    watcher.send({ type: 'subscribe', channels: [{ channel: 'm', presence: true }] });
    const b = await connect(server, server.token({ user: 'bob' }), 'b1');
    b.send({ type: 'presence', channel: 'm' });
    await server.settled();
    watcher.take();
    b.socket.close();
    await server.settled();
    expect(watcher.take()).toMatchObject([{ action: 'update', member: { user: 'bob', state: 'grace' } }]);
    const again = await connect(server, server.token({ user: 'bob' }), 'b1');
    again.send({ type: 'presence', channel: 'm' });
    await server.settled();
    expect(watcher.take()).toMatchObject([{ action: 'update', member: { user: 'bob', state: 'live', sessions: 1 } }]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(watcher.of('member')).toEqual([]);
    again.socket.close();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(watcher.of('member').map((f) => f['action'])).toEqual(['update', 'leave']);
  });

  it('comes by polls, which are its heartbeat', async () => {
    const leave = server.join('m', 'carol');
    const ask = { session: 's1', present: [{ channel: 'm', status: 1 }], wait_ms: 0 };
    const first = await poll({ ...ask, channels: [{ channel: 'm', presence: true }] });
    const members = first.find((f) => f.type === 'members');
    expect(members).toMatchObject({ count: 2, members: [{ user: 'alice', status: 1 }, { user: 'carol' }] });
    const channels = first.at(-1)?.['channels'];
    expect(channels).toMatchObject([{ presence: true, members: members?.['version'] }]);
    const waiting = poll({ session: 's1', present: ask.present, channels });
    await server.settled();
    leave();
    expect((await waiting)[0]).toMatchObject({ type: 'member', action: 'leave', member: { user: 'carol' } });
    await vi.advanceTimersByTimeAsync(59_999);
    expect(server.members('m')).toMatchObject([{ user: 'alice', state: 'live' }]);
    await vi.advanceTimersByTimeAsync(1);
    expect(server.members('m')).toMatchObject([{ state: 'grace' }]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(server.members('m')).toEqual([]);
  });

  it('is listed by pages', async () => {
    for (const user of ['dave', 'bob', 'carol']) server.join('m', user);
    const c = await connect(server);
    c.send({ type: 'members', id: 1, channel: 'm', limit: 2 });
    await server.settled();
    const [page] = c.of('members');
    expect(page).toMatchObject({ count: 3, next: 'carol', members: [{ user: 'bob' }, { user: 'carol' }] });
    const answer = await server.fetch('/v1/channels/m/members?after=carol', { headers: { Authorization: 'Bearer t' } });
    expect(await answer.json()).toMatchObject({ channel: 'm', members: [{ user: 'dave' }] });
  });

  it('needs a permission', async () => {
    const c = await connect(server, server.token({ presence: [] }));
    c.send({ type: 'presence', id: 1, channel: 'm' }, { type: 'subscribe', id: 2, channels: [{ channel: 'm', presence: true }] });
    await server.settled();
    expect(c.of('error')).toMatchObject([{ id: 1, code: 'forbidden' }, { id: 2, code: 'forbidden', path: '/channels/0/presence' }]);
  });
});
