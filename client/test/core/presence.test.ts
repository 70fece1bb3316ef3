import { describe, expect, test, vi } from 'vitest';
import { createClient } from '../../src/index.js';
import { collect, rig, upTo } from './harness.js';

const users = (m: { members: readonly { user: string }[] }) => m.members.map((x) => x.user);

describe.each(['websocket', 'sse', 'poll'] as const)('over %s', (transport) => {
  test('members are followed while somebody listens', async () => {
    const { client, server, until, errors } = rig({ transports: [transport] });
    const here = client.presence<{ row: number }>('matches:7');
    expect(here.getMembers()).toMatchObject({ known: false, count: 0 });
    let changes = 0;
    const undo = here.onMembers(() => changes++);
    await until(() => here.getMembers().known);
    const leave = server.join('matches:7', 'bob', { row: 4 });
    server.join('matches:7', 'anna', { row: 5 });
    await until(() => here.getMembers().count === 2);
    expect(users(here.getMembers())).toEqual(['anna', 'bob']);
    expect(here.getMembers().members[1]?.status?.row).toBe(4);
    expect(here.getMembers()).toBe(here.getMembers());
    leave();
    await until(() => here.getMembers().count === 1);
    expect(here.getMembers()).toMatchObject({ known: true, stale: false });
    expect(changes).toBeGreaterThan(0);
    undo();
    expect(errors).toEqual([]);
  });

  test('the session is present again after a connection is lost', async () => {
    const { client, server, until, run } = rig({ transports: [transport] });
    const here = client.presence('matches:7');
    here.enter({ row: 1 }).catch(() => {});
    await until(() => server.members('matches:7').length === 1);
    server.cut();
    await run(40_000);
    expect(server.members('matches:7')).toMatchObject([{ user: 'alice', state: 'live', status: { row: 1 } }]);
    let left = false;
    void here.leave().then(() => {
      left = true;
    });
    await until(() => left);
    expect(server.members('matches:7')).toEqual([]);
  });
});

describe('a gateway that held who is present', () => {
  const told = (r: { server: { received: readonly { type: string }[] } }) => r.server.received.filter((f) => f.type === 'presence').length;

  test.each(['websocket', 'sse', 'poll'] as const)('is gone: the session says again that it is present, over %s', async (transport) => {
    const r = rig({ transports: [transport] });
    const { client, server, until, run } = r;
    const here = client.presence('matches:7');
    here.onMembers(() => {});
    void here.enter({ row: 1 });
    await until(() => here.getMembers().count === 1);
    await run(5_000);
    const before = told(r);
    server.abandon('matches:7');
    await run(100);
    expect(server.members('matches:7')).toMatchObject([{ user: 'alice', state: 'live', status: { row: 1 } }]);
    expect(told(r)).toBe(before + 1);
    // Again and again: told once a second at most, and in the end the session is present.
    for (let n = 0; n < 50; n++) {
      server.abandon('matches:7');
      await run(100);
    }
    await run(1_500);
    expect(server.members('matches:7')).toMatchObject([{ user: 'alice', state: 'live' }]);
    expect(told(r)).toBeLessThanOrEqual(before + 9);
    const after = told(r);
    await run(10_000);
    expect(told(r)).toBe(after);
  });

  test.each(['websocket', 'sse'] as const)('is gone and nobody noticed in time, over %s', async (transport) => {
    const { client, server, until, run } = rig({ transports: [transport] });
    const here = client.presence('matches:7');
    here.onMembers(() => {});
    void here.enter({ row: 1 });
    await until(() => here.getMembers().count === 1);
    await run(2_000);
    // The change is lost, and what comes is the end of the grace; or a snapshot without the user.
    const undo = server.dropFrames((f) => f['type'] === 'member');
    server.abandon('matches:7');
    await run(11_000);
    expect(server.members('matches:7')).toEqual([]);
    undo();
    server.join('matches:7', 'bob');
    await until(() => server.members('matches:7').length === 2, 1_000);
    expect(server.members('matches:7')[0]).toMatchObject({ user: 'alice', state: 'live', status: { row: 1 } });
  });

  test('tabs of one user do not answer each other', async () => {
    const r = rig();
    const { client, server, until, run } = r;
    const other = createClient<Record<string, unknown>>({ ...server.options, token: server.token() });
    const here = client.presence('matches:7');
    const there = other.presence('matches:7');
    for (const x of [here, there]) x.onMembers(() => {});
    void here.enter({ row: 1 });
    void there.enter({ row: 2 });
    await until(() => here.getMembers().sessions === 2 && there.getMembers().sessions === 2);
    await run(5_000);
    const before = told(r);
    server.abandon('matches:7');
    await run(5_000);
    expect(server.members('matches:7')).toMatchObject([{ state: 'live', sessions: 2 }]);
    expect(told(r)).toBeLessThanOrEqual(before + 4);
    await other.close();
    // The other tab is away: the member is not.
    const after = told(r);
    await run(20_000);
    expect(told(r)).toBe(after);
    expect(server.members('matches:7')).toMatchObject([{ state: 'live', sessions: 1 }]);
  });

  test('is about to end: over a stream, who is present is told as soon as the next one speaks', async () => {
    const r = rig({ transports: ['sse'] }, { latencyMs: 20 });
    const { client, server, until, run } = r;
    const got = collect(client, 'jobs:1');
    const here = client.presence('matches:7');
    void here.enter({ row: 1 });
    await until(() => got.sub.getState().phase === 'live' && server.members('matches:7').length === 1);
    await run(5_000);
    const from = server.received.length;
    server.moving(400, 60_000);
    await run(900);
    expect(server.received.slice(from).map((f) => f.type)).toEqual(['sse', 'presence']);
    // So is a stream that is opened for other channels, but not for each of them.
    for (let n = 0; n < 20; n++) {
      collect(client, `jobs:${n + 2}`);
      await run(50);
    }
    await run(1_500);
    const types = server.received.slice(from + 2).map((f) => f.type);
    expect(types.filter((t) => t === 'sse').length).toBeGreaterThan(5);
    expect(types.filter((t) => t === 'presence').length).toBeGreaterThan(0);
    expect(types.filter((t) => t === 'presence').length).toBeLessThanOrEqual(3);
  });

  test.each(['sse', 'poll'] as const)('may be another one each time: it is told in time, over %s', async (transport) => {
    const r = rig({ transports: [transport] });
    const { client, server, until, run } = r;
    collect(client, 'jobs:1');
    void client.presence('matches:7').enter();
    await until(() => server.members('matches:7').length === 1);
    await run(60_000);
    expect(told(r)).toBe(3);
  });
});

describe('presence', () => {
  test('several handles are one: the newest status counts, and the last to leave ends it', async () => {
    const { client, server, until, run } = rig();
    const status = () => server.members('matches:7')[0]?.status;
    const one = client.presence('matches:7');
    const two = client.presence('matches:7');
    void one.enter({ row: 1 });
    await until(() => server.members('matches:7').length === 1);
    void two.enter({ row: 2 });
    await until(() => JSON.stringify(status()) === '{"row":2}');
    void one.update({ row: 3 });
    await until(() => JSON.stringify(status()) === '{"row":3}');
    void one.leave();
    await until(() => JSON.stringify(status()) === '{"row":2}');
    void two.leave();
    await until(() => server.members('matches:7').length === 0);
    await one.leave();
    await run(100);
  });

  test('what comes in one turn, or while an answer is awaited, is conflated', async () => {
    const { client, server, until, run } = rig({}, { latencyMs: 50 });
    const here = client.presence('matches:7');
    await Promise.all([client.connect(), until(() => client.getStatus().status === 'live')]);
    // A component that is mounted twice, as StrictMode does.
    void here.enter({ n: 0 });
    void here.leave();
    void here.enter({ n: 0 });
    await until(() => server.members('matches:7').length === 1);
    const updates = upTo(50).map((n) => here.update({ n }));
    await until(() => JSON.stringify(server.members('matches:7')[0]?.status) === '{"n":50}');
    await Promise.all([Promise.all(updates), run(1_000)]);
    expect(server.received.filter((f) => f.type === 'presence').length).toBeLessThanOrEqual(4);
    expect(server.received.some((f) => (f.frame as { leave?: boolean }).leave)).toBe(false);
  });

  test('a refusal is told; trouble that passes is tried again', async () => {
    const { client, server, until } = rig();
    server.fail('presence', { code: 'unavailable', times: 2 });
    const here = client.presence('matches:7');
    let entered = false;
    void here.enter().then(() => (entered = true));
    await until(() => entered);
    server.fail('presence', { code: 'forbidden' });
    const refused = expect(client.presence('matches:8').enter()).rejects.toMatchObject({ code: 'forbidden' });
    await until(() => server.received.filter((f) => f.type === 'presence').length === 4);
    await refused;
  });

  test('a subscription that ends does not end presence', async () => {
    const { client, server, until, run } = rig({ lingerMs: 100 });
    const sub = client.subscribe('matches:7', () => {});
    const here = client.presence('matches:7');
    void here.enter();
    await until(() => server.members('matches:7').length === 1 && sub.getState().phase === 'live');
    sub.close();
    await run(5_000);
    expect(server.members('matches:7').length).toBe(1);
    void here.leave();
    await until(() => server.members('matches:7').length === 0);
    await until(() => server.connections[0]?.channels.length === 0);
  });

  test('pages are put together, up to a thousand members', async () => {
    const { client, server, until } = rig();
    for (const n of upTo(950)) server.join('crowd', `u${String(n).padStart(4, '0')}`);
    const here = client.presence('crowd');
    here.onMembers(() => {});
    await until(() => here.getMembers().members.length === 950);
    expect(new Set(users(here.getMembers())).size).toBe(950);
    for (const n of upTo(2_000)) server.join('crowd', `v${n}`);
    await until(() => here.getMembers().count === 2_950);
  });

  test('to leave as the connection breaks is done: its end ends presence, too', async () => {
    const { client, server, until, run } = rig({}, { latencyMs: 50 });
    const here = client.presence('matches:7');
    void here.enter();
    await until(() => server.members('matches:7').length === 1);
    await run(200);
    server.refuse();
    let left = false;
    void here.leave().then(() => (left = true));
    await run(10); // told, and not answered yet
    vi.spyOn(Math, 'random').mockReturnValue(0.9); // no attempt to connect yet
    server.cut();
    await run(100);
    expect(left).toBe(true);
    expect(client.getStatus().status).toBe('reconnecting');
  });

  test('without a connection the members are those of then', async () => {
    const { client, server, until } = rig();
    server.join('matches:7', 'bob');
    const here = client.presence('matches:7');
    here.onMembers(() => {});
    await until(() => here.getMembers().count === 1);
    server.refuse();
    server.cut();
    await until(() => here.getMembers().stale);
    expect(users(here.getMembers())).toEqual(['bob']);
    server.join('matches:7', 'carol');
    server.accept();
    await until(() => here.getMembers().count === 2 && !here.getMembers().stale);
  });

  test('a change that is lost is noticed, and asked for', async () => {
    const { client, server, until } = rig();
    const here = client.presence('matches:7');
    here.onMembers(() => {});
    await until(() => here.getMembers().known);
    const undo = server.dropFrames((f) => f['type'] === 'member');
    server.join('matches:7', 'bob');
    await until(() => true);
    undo();
    server.join('matches:7', 'carol');
    await until(() => here.getMembers().count === 2);
    expect(users(here.getMembers())).toEqual(['bob', 'carol']);
  });

  test('1,000 mounts and unmounts leave nothing', async () => {
    const { client, server, until, run } = rig({ lingerMs: 50 });
    for (const n of upTo(1_000)) {
      const sub = client.subscribe(`jobs:${n % 10}`, () => {});
      const here = client.presence(`jobs:${n % 10}`);
      const undo = here.onMembers(() => {});
      void here.enter();
      if (n % 100 === 0) await run(1);
      sub.close();
      undo();
      void here.leave();
    }
    await run(5_000);
    await until(() => server.connections[0]?.channels.length === 0);
    expect(server.members('jobs:1')).toEqual([]);
  });
});
