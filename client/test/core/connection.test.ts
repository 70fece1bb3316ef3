import { afterEach, describe, expect, test, vi } from 'vitest';
import { createClient } from '../../src/index.js';
import { collect, numbered, rig, upTo } from './harness.js';

describe('reconnecting', () => {
  test('waits longer and longer, within the jitter, and says until when', async () => {
    const { client, server, until, run, status } = rig({ transports: ['websocket'], backoff: { minMs: 100, maxMs: 1_000 } });
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    server.refuse();
    const waits: number[] = [];
    let last: number | null = null;
    client.onStatus(() => {
      const { retryAt } = status();
      if (retryAt !== null && retryAt !== last) waits.push(Math.round((retryAt - Date.now()) / 10) * 10);
      last = retryAt;
    });
    client.connect().catch(() => {});
    await run(5_000);
    expect(waits.slice(0, 6)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    expect(status()).toMatchObject({ status: 'connecting', transport: null });
    expect(status().lastError?.code).toBe('network');
    server.accept();
    await until(() => status().status === 'live');
    expect(status()).toMatchObject({ retryAt: null, lastError: null });
  });

  test('a gateway that is gone for a minute loses nothing', async () => {
    const { client, server, until, run, errors, status } = rig();
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    server.refuse();
    server.cut();
    for (const n of upTo(10)) {
      server.publish('jobs:1', numbered(n));
      await run(6_000);
    }
    expect(status().status).toBe('reconnecting');
    expect(got.sub.getState().phase).toBe('pending');
    server.accept();
    await until(() => got.events.length === 10);
    expect(got.numbers()).toEqual(upTo(10));
    expect(errors).toEqual([]);
  });

  test('a peer that is silent is given up within two intervals and a bit', async () => {
    const { client, server, until, run, status } = rig({ transports: ['websocket'] });
    await Promise.all([client.connect(), run()]);
    server.freeze();
    await run(20_000);
    expect(status().status).toBe('live');
    await run(31_000);
    expect(status().status).toBe('reconnecting');
    expect(status().lastError?.code).toBe('timeout');
    server.thaw();
    await until(() => status().status === 'live');
  });

  test('a page that was frozen finds out at once', async () => {
    const page = new EventTarget();
    vi.stubGlobal('document', Object.assign(page, { visibilityState: 'visible' }));
    const { client, server, until, run, status } = rig({ transports: ['websocket'] });
    await Promise.all([client.connect(), run()]);
    server.cut({ silent: true });
    vi.setSystemTime(Date.now() + 600_000);
    page.dispatchEvent(new Event('visibilitychange'));
    expect(status().status).toBe('reconnecting');
    await until(() => status().status === 'live', 1_000);
    vi.unstubAllGlobals();
  });

  test('a page that is looked at again tries at once', async () => {
    const page = new EventTarget();
    vi.stubGlobal('document', Object.assign(page, { visibilityState: 'visible' }));
    const { client, server, run, status } = rig({ transports: ['websocket'] });
    server.refuse();
    client.connect().catch(() => {});
    await run(100_000);
    server.accept();
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    expect(status().status).toBe('connecting');
    page.dispatchEvent(new Event('visibilitychange'));
    await run(10);
    expect(status().status).toBe('live');
    vi.unstubAllGlobals();
  });
});

describe('the network comes back', () => {
  /** A page that a test can take off the network, hide and show. */
  function page() {
    const target = new EventTarget();
    const doc = Object.assign(new EventTarget(), { visibilityState: 'visible' });
    vi.stubGlobal('document', doc);
    vi.stubGlobal('addEventListener', target.addEventListener.bind(target));
    vi.stubGlobal('removeEventListener', target.removeEventListener.bind(target));
    return {
      tell: (type: 'online' | 'offline') => target.dispatchEvent(new Event(type)),
      show(visibilityState: 'visible' | 'hidden') {
        doc.visibilityState = visibilityState;
        doc.dispatchEvent(new Event('visibilitychange'));
      },
    };
  }

  afterEach(() => {
    vi.unstubAllGlobals();
  });

  test('after it was away: the first attempt is a WebSocket', async () => {
    const { tell } = page();
    const { client, server, run, status } = rig();
    await Promise.all([client.connect(), run()]);
    tell('offline');
    server.refuse();
    server.cut();
    // Every attempt fails, over all ways.
    await run(130_000);
    expect(status().status).toBe('reconnecting');
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    server.accept();
    const seen = new Set<string | null>();
    client.onStatus(() => seen.add(status().transport));
    tell('online');
    await run(10);
    expect(status()).toMatchObject({ status: 'live', transport: 'websocket' });
    expect([...seen].filter((t) => t !== null)).toEqual(['websocket']);
  });

  test('while an attempt by another way hangs: that is not waited for', async () => {
    const { tell } = page();
    const { client, server, run, until, status } = rig();
    await Promise.all([client.connect(), run()]);
    server.refuse('websocket');
    server.cut();
    server.freeze();
    await run(25_000); // WebSockets are refused, and what follows hangs
    server.accept();
    server.thaw();
    tell('online');
    await until(() => status().status === 'live', 1_000);
    expect(status().transport).toBe('websocket');
  });

  test.each(['online', 'shown'] as const)('or a page is %s after long, and there is a connection: a better way is looked for at once', async (moment) => {
    const { tell, show } = page();
    const { client, server, run, until, status } = rig();
    server.refuse('websocket');
    const got = collect(client, 'jobs:1');
    await until(() => status().transport === 'sse');
    server.publish('jobs:1', numbered(1));
    await until(() => got.events.length === 1);
    await run(120_000); // the second look for a better way is over, the third a while off
    server.accept();
    if (moment === 'online') tell('online');
    else {
      show('hidden');
      await run(1_000);
      show('visible');
      await run(1_000);
      expect(status().transport).toBe('sse'); // that was short
      show('hidden');
      vi.setSystemTime(Date.now() + 600_000); // its timers stood still
      show('visible');
    }
    await until(() => status().transport === 'websocket', 1_000);
    server.publish('jobs:1', numbered(2));
    await until(() => got.events.length === 2);
    expect(got.numbers()).toEqual([1, 2]);
  });
});

describe('moving', () => {
  test.each(['websocket', 'sse', 'poll'] as const)('makes the next connection before it leaves the last, over %s', async (transport) => {
    const { client, server, until, run, status } = rig({ transports: [transport] });
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    const seen = new Set<string>();
    client.onStatus(() => seen.add(status().status));
    server.moving(400, 60_000);
    for (const n of upTo(40)) {
      server.publish('jobs:1', numbered(n));
      await run(50);
    }
    await until(() => got.events.length === 40);
    expect(got.numbers()).toEqual(upTo(40));
    expect([...seen].filter((s) => s !== 'live')).toEqual([]);
    expect(server.received.filter((f) => f.type === (transport === 'websocket' ? 'connect' : transport)).length).toBeGreaterThan(1);
    await run(2_000);
    expect(server.connections.length).toBeLessThanOrEqual(1);
  });
});

describe('ways', () => {
  test('falls from WebSockets to streams to polls, and comes back quietly, with its cursors', async () => {
    const { client, server, until, run, status, errors } = rig();
    server.refuse('websocket', 'sse');
    const got = collect(client, 'jobs:1');
    await until(() => status().status === 'live' && got.sub.getState().phase === 'live');
    expect(status().transport).toBe('poll');
    for (const n of upTo(10)) server.publish('jobs:1', numbered(n));
    await until(() => got.events.length === 10);
    const seen = new Set<string>();
    client.onStatus(() => seen.add(status().status));
    await run(120_000); // looks for a better way, in vain
    expect(status().transport).toBe('poll');
    server.accept();
    let n = 10;
    await until(() => {
      server.publish('jobs:1', numbered(++n));
      return status().transport === 'websocket';
    }, 700_000, 1_000);
    await until(() => got.events.length === n);
    expect(got.numbers()).toEqual(upTo(n));
    expect(seen).toEqual(new Set(['live']));
    expect(errors).toEqual([]);
  });

  test('a way that breaks does not put off the look for a better one', async () => {
    const { client, server, until, run, status } = rig();
    collect(client, 'jobs:1');
    await until(() => status().transport === 'websocket');
    server.refuse('websocket');
    server.cut();
    await until(() => status().transport === 'sse');
    for (let n = 0; n < 4; n++) {
      await run(6_000);
      server.cut();
      await until(() => status().status === 'live');
    }
    expect(status().transport).toBe('sse');
    server.accept();
    await until(() => status().transport === 'websocket', 40_000);
  });

  test('two clients that use one session over polls hinder each other, and lose nothing', async () => {
    const { client, server, until, run } = rig({ transports: ['poll'], session: 's' });
    const other = createClient<Record<string, unknown>>({ ...server.options, token: server.token(), transports: ['poll'], session: 's' });
    const both = [collect(client, 'jobs:1'), collect(other, 'jobs:1')];
    await until(() => both.every((x) => x.sub.getState().phase === 'live'));
    for (const n of upTo(60)) {
      server.publish('jobs:1', numbered(n));
      await run(1_000);
    }
    await until(() => both.every((x) => x.events.length === 60));
    expect(both.map((x) => x.numbers())).toEqual([upTo(60), upTo(60)]);
    expect(server.received.filter((f) => f.type === 'poll').length).toBeLessThan(60 * 8);
    await other.close();
  });

  test('what this environment lacks is passed over', async () => {
    vi.stubGlobal('WebSocket', undefined);
    const { server, until } = rig();
    const client = createClient({ url: server.url, fetch: server.fetch, token: server.token() });
    client.connect().catch(() => {});
    await until(() => client.getStatus().status === 'live');
    expect(client.getStatus().transport).toBe('sse');
    await client.close();
    vi.unstubAllGlobals();
  });

  test('after WebSockets have worked, a short outage does not change the way', async () => {
    const { server, client, until, status } = rig();
    await Promise.all([client.connect(), until(() => status().status === 'live')]);
    server.refuse();
    server.cut();
    await until(() => status().retryAt !== null);
    server.accept();
    await until(() => status().status === 'live');
    expect(status().transport).toBe('websocket');
  });
});

test('degraded is shown and ends', async () => {
  const { server, client, until, status } = rig();
  await Promise.all([client.connect(), until(() => status().status === 'live')]);
  server.degrade('the store is away');
  await until(() => status().status === 'degraded');
  server.degrade(undefined);
  await until(() => status().status === 'live');
});

test('a status is the same object until something changes', async () => {
  const { client, until, status } = rig();
  const before = status();
  expect(status()).toBe(before);
  await Promise.all([client.connect(), until(() => status().status === 'live')]);
  expect(status()).not.toBe(before);
  expect(status().latencyMs).toBeGreaterThanOrEqual(0);
});

test('Retry-After is obeyed', async () => {
  let requests = 0;
  const busy: typeof fetch = async () => {
    requests++;
    return new Response('', { status: 503, headers: { 'retry-after': '30' } });
  };
  const { client, run } = rig({ transports: ['poll'], fetch: busy });
  client.connect().catch(() => {});
  await run(29_000);
  expect(requests).toBe(1);
  await run(10_000);
  expect(requests).toBe(2);
});

test('close leaves nothing', async () => {
  for (const transport of ['websocket', 'sse', 'poll'] as const) {
    const { client, server, until, run } = rig({ transports: [transport] });
    const got = collect(client, 'jobs:1');
    const here = client.presence('jobs:1');
    const undo = here.onMembers(() => {});
    here.enter({ a: 1 }).catch(() => {});
    await until(() => got.sub.getState().phase === 'live' && here.getMembers().known);
    got.sub.close();
    undo();
    const waits = client.publish('jobs:1', numbered(1));
    const ended = expect(waits).rejects.toMatchObject({ code: 'closed' });
    await client.close();
    await ended;
    server.close();
    await run();
    expect(vi.getTimerCount()).toBe(0);
    expect(client.getStatus().status).toBe('closed');
    expect(server.connections).toEqual([]);
    await expect(client.publish('jobs:1', numbered(2))).rejects.toMatchObject({ code: 'closed' });
  }
});
