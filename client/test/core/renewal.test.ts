import { describe, expect, test } from 'vitest';
import { collect, numbered, rig, upTo } from './harness.js';

describe('tokens', () => {
  test.each(['websocket', 'sse'] as const)('are replaced before they expire, on the connection, over %s', async (transport) => {
    let asked = 0;
    const { server, client, run, until, status } = rig({ transports: [transport], token: () => (asked++, server.token({ ttlMs: 600_000 })) });
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    const states = new Set<string>();
    client.onStatus(() => states.add(status().status));
    for (let minute = 0; minute < 50; minute++) {
      server.publish('jobs:1', numbered(minute));
      await run(60_000);
    }
    expect(asked).toBeGreaterThanOrEqual(5);
    expect([...states].filter((s) => s !== 'live')).toEqual([]);
    expect(got.events.length).toBe(50);
  });

  describe.each([
    ['behind', 7_200_000],
    ['ahead', -7_200_000],
  ])('by a clock that is two hours %s, and without a time of issue', (_name, skewMs) => {
    test.each([
      ['are replaced in time where events say what time it is', 60_000],
      ['expire once at most where nothing says it', 0],
    ])('%s', async (_what, everyMs) => {
      let asked = 0;
      const r = rig({ transports: ['websocket'], token: () => (asked++, r.server.token({ ttlMs: 600_000 })) }, { skewMs });
      const { server, client, run, until, status } = r;
      const got = collect(client, 'jobs:1');
      await until(() => got.sub.getState().phase === 'live');
      let breaks = 0;
      client.onStatus(() => (breaks += status().status === 'reconnecting' ? 1 : 0));
      const reasons = new Set<string | undefined>();
      client.on('error', (e) => reasons.add(e.code));
      let n = 0;
      for (let minute = 0; minute < 60; minute++) {
        await run(60_000);
        if (everyMs) server.publish('jobs:1', numbered(++n));
      }
      await run();
      expect([...reasons].filter((code) => code !== 'token_expired')).toEqual([]);
      expect(server.received.filter((f) => f.type === 'connect').length).toBeLessThanOrEqual(everyMs || skewMs < 0 ? 1 : 2);
      expect(breaks === 0).toBe(everyMs > 0 || skewMs < 0);
      expect(got.numbers()).toEqual(upTo(n));
      expect(asked).toBeGreaterThanOrEqual(6);
      expect(asked).toBeLessThan(90);
    });
  });

  test('that are refused again and again are not asked for in a loop', async () => {
    let asked = 0;
    const { server, client, run, status, until } = rig({ token: () => `t${asked++}`, transports: ['websocket'] });
    const undo = server.fail('connect', { code: 'unauthorized', times: 1_000 });
    client.connect().catch(() => {});
    await run(60_000);
    expect(asked).toBeLessThan(40);
    expect(asked).toBeGreaterThan(3);
    expect(status()).toMatchObject({ status: 'connecting', lastError: { code: 'unauthorized' } });
    undo();
    await until(() => status().status === 'live');
  });

  test('a source that fails is asked again, with the reason shown', async () => {
    let fails = true;
    const { client, run, status, until } = rig({
      token: async () => {
        if (fails) throw new Error('no identity provider');
        return 'good';
      },
    });
    client.connect().catch(() => {});
    await run(2_000);
    expect(status().lastError).toMatchObject({ code: 'token_failed', cause: new Error('no identity provider') });
    fails = false;
    await until(() => status().status === 'live');
    expect(status().transport).toBe('websocket');
  });

  test('a token that expires is followed by a new one and nothing is lost', async () => {
    const { server, client, until } = rig({});
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    server.expireTokens();
    server.publish('jobs:1', numbered(1));
    await until(() => client.getStatus().lastError?.code === 'token_expired');
    await client.close();
  });
});
