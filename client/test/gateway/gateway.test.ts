import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { Client, ClientOptions, TallywireError } from '../../src/index.js';
import { createClient } from '../../src/index.js';
import { startGateway, startGatewayAt, startRedis, token } from './process.js';
import { startProxy } from './proxy.js';

const patience = { timeout: 25_000, interval: 20 };
const transports = ['websocket', 'sse', 'poll'] as const;
const until = (condition: () => boolean) =>
  vi.waitFor(() => {
    if (!condition()) throw new Error('not yet');
  }, patience);

function client(url: string, options: Partial<ClientOptions> = {}): { c: Client<Record<string, unknown>>; errors: TallywireError[] } {
  const c = createClient<Record<string, unknown>>({
    url,
    token: token(),
    WebSocket,
    backoff: { minMs: 20, maxMs: 500 },
    ...options,
  });
  const errors: TallywireError[] = [];
  c.on('error', (e) => errors.push(e));
  onTestFinished(() => c.close());
  return { c, errors };
}

/** Numbers that arrive in a channel, and what else is told. */
function numbers(c: Client<Record<string, unknown>>, channel: string) {
  const got: number[] = [];
  const resets: string[] = [];
  const sub = c.subscribe(channel, (e) => got.push((e.data as { n: number }).n), { onReset: (r) => resets.push(r.reason) });
  return { got, resets, sub };
}

const event = (n: number) => ({ type: 'x.counted', data: { n } });
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

test.each(transports)('events come once and in order through cuts, over %s', async (transport) => {
  const gateway = await startGateway();
  const proxy = await startProxy(gateway.port);
  const { c, errors } = client(proxy.url, { transports: [transport] });
  const publisher = client(gateway.url);
  const { got, resets, sub } = numbers(c, 'jobs:1');
  await until(() => sub.getState().phase === 'live');
  expect(c.getStatus()).toMatchObject({ status: 'live', transport, user: 'alice' });
  for (const n of upTo(300)) {
    await publisher.c.publish('jobs:1', event(n));
    if (n % 60 === 0) proxy.cut();
  }
  await until(() => got.length >= 300);
  expect(got).toEqual(upTo(300));
  expect(resets).toEqual([]);
  expect(errors).toEqual([]);
});

test.each(transports)('publishes happen once and in order through cuts, over %s', async (transport) => {
  const gateway = await startGateway();
  const proxy = await startProxy(gateway.port);
  const { c, errors } = client(proxy.url, { transports: [transport] });
  const reader = client(gateway.url);
  const { got, sub } = numbers(reader.c, 'jobs:1');
  await until(() => sub.getState().phase === 'live');
  const answers: Promise<unknown>[] = [];
  for (const n of upTo(200)) {
    answers.push(c.publish('jobs:1', event(n)));
    if (n % 50 === 0) {
      await until(() => got.length > n - 20);
      proxy.cut();
    }
  }
  await Promise.all(answers);
  await until(() => got.length >= 200);
  expect(got).toEqual(upTo(200));
  expect(errors).toEqual([]);
});

test.each(transports)('members and presence, over %s', async (transport) => {
  const gateway = await startGateway();
  const { c: alice, errors } = client(gateway.url, { transports: [transport] });
  const { c: bob } = client(gateway.url, { token: token('bob') });
  const mine = alice.presence('matches:7');
  const his = bob.presence('matches:7');
  onTestFinished(mine.onMembers(() => {}));
  await until(() => mine.getMembers().known);
  await his.enter({ viewing: 'match:42' });
  await until(() => mine.getMembers().members.some((m) => m.user === 'bob'));
  expect(mine.getMembers().members[0]).toMatchObject({ user: 'bob', state: 'live', status: { viewing: 'match:42' } });
  await his.update({ viewing: 'match:43' });
  await until(() => JSON.stringify(mine.getMembers().members[0]?.status) === '{"viewing":"match:43"}');
  await mine.enter();
  await until(() => mine.getMembers().count === 2);
  await his.leave();
  await until(() => mine.getMembers().count === 1);
  await mine.leave();
  await until(() => mine.getMembers().count === 0);
  expect(errors).toEqual([]);
});

test('a gateway is killed, drained and replaced: every event once, and the next connection is made before the last is left', async () => {
  const redis = await startRedis();
  const one = await startGateway('--redis', redis);
  const two = await startGateway('--redis', redis);
  const proxy = await startProxy(one.port);
  const { c, errors } = client(proxy.url);
  const publisher = client(two.url);
  const { got, resets, sub } = numbers(c, 'jobs:1');
  await until(() => sub.getState().phase === 'live');
  let n = 0;
  const publish = async (count: number) => {
    for (let i = 0; i < count; i++) await publisher.c.publish('jobs:1', event(++n));
  };
  await publish(100);
  proxy.target = two.port;
  await one.kill();
  await publish(100);
  await until(() => got.length === 200);

  const three = await startGatewayAt(one.port, '--redis', redis);
  proxy.target = three.port;
  c.reconnect();
  await until(() => c.getStatus().status === 'live');
  const seen = new Set<string>();
  c.onStatus(() => seen.add(c.getStatus().status));
  const before = c.getStatus().gateway;
  proxy.target = two.port;
  const drained = three.kill('SIGTERM');
  await publish(200);
  await drained;
  await until(() => got.length === 400);
  expect(got).toEqual(upTo(400));
  expect(c.getStatus().gateway).not.toBe(before);
  expect(seen).toEqual(new Set(['live']));
  expect(resets).toEqual([]);
  expect(errors).toEqual([]);
});

test('where WebSockets do not get through, it falls to the next transport with its cursors', async () => {
  const gateway = await startGateway();
  const proxy = await startProxy(gateway.port);
  proxy.blockWebSockets = true;
  const { c } = client(proxy.url);
  const { got, sub } = numbers(c, 'jobs:1');
  await until(() => sub.getState().phase === 'live');
  expect(c.getStatus().transport).toBe('sse');
  for (const n of upTo(50)) await c.publish('jobs:1', event(n));
  await until(() => got.length >= 50);
  expect(got).toEqual(upTo(50));
});

test('a token is replaced before it expires, on the connection', async () => {
  const gateway = await startGateway();
  let asked = 0;
  const { c, errors } = client(gateway.url, { token: () => (asked++, token('alice', 8)) });
  await c.connect();
  const states = new Set<string>();
  c.onStatus(() => states.add(c.getStatus().status));
  await until(() => asked >= 3);
  expect([...states].filter((s) => s !== 'live')).toEqual([]);
  expect(errors).toEqual([]);
});
