import { afterEach, expect, test } from 'vitest';
import '../../src/share.js'; // loaded before the clock is a fake one
import type { Client } from '../../src/index.js';
import { createClient } from '../../src/index.js';
import { Tab } from './browser.js';
import type { Rig } from './harness.js';
import { collect, numbered, rig, upTo } from './harness.js';

const open: Client<Record<string, unknown>>[] = [];

afterEach(async () => {
  for (const c of open.splice(0)) await c.close();
});

/** Opens a tab with a client of the rig's server. */
async function tab(r: Rig, channel = 'jobs:1') {
  const page = new Tab();
  const client = page.run(() => createClient<Record<string, unknown>>({ ...r.server.options, token: r.server.token(), shareTabs: true }));
  open.push(client);
  const got = page.run(() => collect(client, channel));
  // The globals are this tab's until it is connected.
  await r.until(() => client.getStatus().status === 'live' && got.sub.getState().phase === 'live');
  return { page, client, ...got };
}

test('tabs share one connection, and each gets everything', async () => {
  const r = rig();
  const one = await tab(r);
  const two = await tab(r);
  const three = await tab(r, 'jobs:2');
  expect(r.server.connections.length).toBe(1);
  expect(two.client.getStatus()).toMatchObject({ status: 'live', transport: 'websocket', user: 'alice' });
  for (const n of upTo(20)) r.server.publish('jobs:1', numbered(n));
  const published = three.client.publish('jobs:2', numbered(7));
  await r.until(() => two.events.length === 20 && one.events.length === 20 && three.events.length === 1);
  expect(one.numbers()).toEqual(upTo(20));
  expect(two.numbers()).toEqual(upTo(20));
  expect(await published).toMatchObject({ cursor: three.events[0]?.cursor, duplicate: false });
});

test('when the tab that leads goes, another one takes over, and nothing is lost', async () => {
  const r = rig();
  const one = await tab(r);
  const two = await tab(r);
  const three = await tab(r);
  let n = 0;
  const publish = (count: number) => {
    for (let i = 0; i < count; i++) r.server.publish('jobs:1', numbered(++n));
  };
  publish(5);
  await r.until(() => three.events.length === 5);
  one.page.die();
  void one.client.close();
  publish(5);
  // At once: nobody waits to find out that the leader is silent.
  await r.until(() => two.events.length === 10 && three.events.length === 10, 2_000);
  two.page.die();
  void two.client.close();
  publish(5);
  await r.until(() => three.events.length === 15, 2_000);
  expect(three.numbers()).toEqual(upTo(15));
  expect(three.resets).toEqual([]);
  await r.until(() => r.server.connections.length === 1);
});

test('a loss is told to every tab, a lost connection shown by every tab', async () => {
  const r = rig();
  const one = await tab(r);
  const two = await tab(r);
  r.server.publish('jobs:1', numbered(1));
  await r.until(() => two.events.length === 1);
  r.server.refuse();
  r.server.cut();
  await r.until(() => one.client.getStatus().status === 'reconnecting' && two.client.getStatus().status === 'reconnecting');
  await r.run(60_000);
  expect(two.client.getStatus().status).toBe('reconnecting');
  r.server.publish('jobs:1', numbered(2));
  r.server.publish('jobs:1', numbered(3));
  r.server.trim('jobs:1', 1);
  r.server.accept();
  await r.until(() => two.events.length === 2 && one.events.length === 2);
  expect(two.numbers()).toEqual([1, 3]);
  expect(two.resets).toEqual(['trimmed']);
  expect(one.resets).toEqual(['trimmed']);
  expect(r.server.connections.length).toBe(1);
});

test('a tab that leads and is frozen loses the lead, and follows when it is thawed', async () => {
  const r = rig();
  const one = await tab(r);
  const two = await tab(r);
  one.page.frozen = true;
  r.server.publish('jobs:1', numbered(1));
  await r.until(() => two.events.length === 1, 120_000);
  one.page.frozen = false;
  r.server.publish('jobs:1', numbered(2));
  await r.until(() => one.events.length === 2 && two.events.length === 2, 120_000);
  expect(one.numbers()).toEqual([1, 2]);
  expect(two.numbers()).toEqual([1, 2]);
  await r.until(() => r.server.connections.length === 1);
});

test('a tab that goes is forgotten by the one that leads', async () => {
  const r = rig();
  await tab(r);
  const two = await tab(r, 'jobs:2');
  const here = two.client.presence('jobs:2');
  void here.enter({ row: 1 });
  await r.until(() => r.server.members('jobs:2').length === 1);
  expect(r.server.connections[0]?.channels).toContain('jobs:2');
  two.page.die();
  await r.until(() => r.server.members('jobs:2').length === 0 && !r.server.connections[0]?.channels.includes('jobs:2'));
  await two.client.close();
});

test('members are shown in tabs that follow', async () => {
  const r = rig();
  await tab(r);
  const two = await tab(r);
  const here = two.client.presence('matches:7');
  here.onMembers(() => {});
  r.server.join('matches:7', 'bob');
  await r.until(() => here.getMembers().count === 1);
  void here.enter({ row: 4 });
  await r.until(() => here.getMembers().members[0]?.user === 'alice' && here.getMembers().count === 2);
});
