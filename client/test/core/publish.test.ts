import { describe, expect, test } from 'vitest';
import { collect, numbered, rig, upTo } from './harness.js';

describe('publishes', () => {
  test('wait for a connection, up to a bound, and happen in order', async () => {
    const { client, server, until, run } = rig({ offlineQueue: 3, transports: ['websocket'] });
    server.refuse();
    const answers = upTo(3).map((n) => client.publish('jobs:1', numbered(n)));
    await expect(client.publish('jobs:1', numbered(4))).rejects.toMatchObject({ code: 'queue_full', retry: true });
    await run(5_000);
    server.accept();
    await until(() => server.events('jobs:1').length === 3);
    const published = await Promise.all(answers);
    expect(published.map((p) => Number.parseInt(p.cursor))).toEqual([2, 3, 4]);
    await client.publish('jobs:1', numbered(5));
  });

  test.each(['websocket', 'sse', 'poll'] as const)('one whose answer is lost is sent again with the same id, over %s', async (transport) => {
    const { client, server, until, run, errors } = rig({ transports: [transport] });
    await Promise.all([client.connect(), until(() => client.getStatus().status === 'live')]);
    const undo = server.dropFrames((f) => f['type'] === 'published');
    const answer = client.publish('jobs:1', numbered(1));
    await until(() => server.events('jobs:1').length === 1);
    await run(10);
    undo();
    if (transport === 'websocket') server.cut();
    else client.reconnect();
    await until(() => server.received.filter((f) => f.type === 'publish').length >= 2);
    await run(1_000);
    expect(await answer).toMatchObject({ cursor: server.head('jobs:1'), duplicate: true });
    expect(server.events('jobs:1').length).toBe(1);
    expect(errors).toEqual([]);
  });

  test('a refusal is the gateway’s error, and stops no other', async () => {
    const { client, server, until } = rig();
    server.fail('publish', { code: 'invalid_event', message: 'data.percent: must be <= 100', path: '/data/percent' });
    const bad = client.publish('jobs:1', numbered(1));
    const good = client.publish('jobs:1', numbered(2));
    const refused = expect(bad).rejects.toMatchObject({ code: 'invalid_event', path: '/data/percent', retry: false });
    await until(() => server.events('jobs:1').length === 1);
    await refused;
    expect((await good).duplicate).toBe(false);
  });

  test('trouble that passes is tried again', async () => {
    const { client, server, until } = rig();
    server.fail('publish', { code: 'unavailable', times: 4 });
    const answer = client.publish('jobs:1', numbered(1));
    await until(() => server.events('jobs:1').length === 1);
    expect((await answer).channel).toBe('jobs:1');
  });

  test('can be given up', async () => {
    const { client, server, run } = rig();
    server.refuse();
    const stop = new AbortController();
    const answer = client.publish('jobs:1', numbered(1), { signal: stop.signal });
    const given = expect(answer).rejects.toMatchObject({ code: 'aborted' });
    await run(100);
    stop.abort();
    await given;
    await expect(client.publish('jobs:1', numbered(1), { signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' });
  });

  test('extensions stand beside the other attributes', async () => {
    const { client, server, until } = rig();
    void client.publish('jobs:1', { type: 'x.y', id: 'mine', subject: 'job/1', extensions: { traceparent: '00-1', type: 'no' } });
    await until(() => server.events('jobs:1').length === 1);
    expect(server.events('jobs:1')[0]).toMatchObject({ type: 'x.y', id: 'mine', subject: 'job/1', traceparent: '00-1' });
  });

  test('thousands at once are cut into messages that a gateway takes', async () => {
    const { client, server, until } = rig({ offlineQueue: 5_000 });
    const got = collect(client, 'jobs:1');
    const text = 'ü'.repeat(5_000);
    const answers = upTo(600).map((n) => client.publish('jobs:1', { type: 'x.counted', data: { n, text: n % 10 === 0 ? text : '' } }));
    await until(() => server.events('jobs:1').length === 600);
    await Promise.all(answers);
    await until(() => got.events.length === 0 || got.events.length === 600);
  });

  test('signals are not kept: without a connection they are not sent', async () => {
    const { client, server, until } = rig();
    expect(client.signal('jobs:1', { type: 'x.cursor' })).toBe(false);
    await Promise.all([client.connect(), until(() => client.getStatus().status === 'live')]);
    expect(client.signal('jobs:1', { type: 'x.cursor' })).toBe(true);
    await until(() => server.received.some((f) => f.type === 'signal'));
  });

  test('a signal that is refused is reported, and harms nothing', async () => {
    const { client, server, until, errors } = rig();
    const got = collect(client, 'jobs:1');
    await until(() => got.sub.getState().phase === 'live');
    server.fail('signal', { code: 'forbidden' });
    client.signal('jobs:1', { type: 'x.cursor' });
    await until(() => errors.length === 1);
    expect(errors[0]?.code).toBe('forbidden');
    expect(got.sub.getState().phase).toBe('live');
  });
});
