import { describe, expect, test, vi } from 'vitest';
import { rig, upTo } from './harness.js';

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
