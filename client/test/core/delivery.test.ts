import { describe, expect, test } from 'vitest';
import { collect, numbered, rig, upTo } from './harness.js';

describe.each(['websocket', 'sse', 'poll'] as const)('over %s', (transport) => {
  const options = { transports: [transport] };

  test('events arrive once, in order', async () => {
    const { client, server, until, errors, status } = rig(options);
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    for (const n of upTo(100)) server.publish('jobs:1', numbered(n));
    await until(() => got.events.length >= 100);
    expect(got.numbers()).toEqual(upTo(100));
    expect(got.sub.getState().cursor).toBe(server.head('jobs:1'));
    expect(status()).toMatchObject({ status: 'live', transport });
    expect(errors).toEqual([]);
  });

  test('what was published while the connection was gone is caught up with', async () => {
    const { client, server, until, errors } = rig(options);
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    for (const n of upTo(60)) {
      server.publish('jobs:1', numbered(n));
      if (n % 20 === 0) {
        await until(() => got.events.length === n);
        server.cut();
      }
    }
    await until(() => got.events.length >= 60);
    expect(got.numbers()).toEqual(upTo(60));
    expect(got.resets).toEqual([]);
    expect(errors).toEqual([]);
  });

  test('a loss is told', async () => {
    const { client, server, until } = rig(options);
    for (const n of upTo(5)) server.publish('jobs:1', numbered(n));
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    server.publish('jobs:1', numbered(6));
    await until(() => got.events.length === 1);
    server.refuse();
    server.cut();
    for (const n of [7, 8, 9]) server.publish('jobs:1', numbered(n));
    server.trim('jobs:1', 1);
    server.accept();
    await until(() => got.events.length === 2);
    expect(got.numbers()).toEqual([6, 9]);
    expect(got.resets).toEqual(['trimmed']);
  });

  test('publishes happen once and in order', async () => {
    const { client, until } = rig(options);
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    const answers = upTo(20).map((n) => client.publish('jobs:1', numbered(n)));
    await until(() => got.events.length === 20);
    expect(got.numbers()).toEqual(upTo(20));
    const published = await Promise.all(answers);
    expect(published.map((p) => p.cursor)).toEqual(got.events.map((e) => e.cursor));
    expect(published.every((p) => !p.duplicate)).toBe(true);
  });
});
