import { describe, expectTypeOf, test } from 'vitest';
import { createClient, type Client, type ClientOptions, type EventMap as BuiltIn } from '../../src/index.js';
import { createTestServer } from '../../src/testing/index.js';
import type { AcmeOrder, AcmeOrderV1, EventMap, Type3dScanDone } from './own-events.js';

describe('the events of the package', () => {
  const client = createClient({ url: '' });

  test('are what a client knows when it is told nothing', () => {
    expectTypeOf(client).toEqualTypeOf<Client<BuiltIn>>();
    client.subscribe('jobs:42', {
      'job.progress': (e) => expectTypeOf(e.data.percent).toEqualTypeOf<number | undefined>(),
      'job.failed': (e) => expectTypeOf(e.data.error.code).toBeString(),
      'match.updated': (e) => expectTypeOf(e.data).not.toBeAny(),
    });
  });

  test('have no fields but those of their schemas', () => {
    // @ts-expect-error a slip of the pen is found
    client.subscribe('jobs:42', { 'job.progress': (e) => e.data.percnt });
  });

  test('are never any, for no type', () => {
    expectTypeOf<BuiltIn[keyof BuiltIn]>().not.toBeAny();
    client.subscribe('jobs:42', { 'not.known': (e) => expectTypeOf(e.data).toBeUnknown() });
    client.subscribe('jobs:42', (e) => {
      expectTypeOf(e.data).toBeUnknown();
      // @ts-expect-error what is not known has to be looked at first
      return e.data.percent;
    });
  });

  test('are wanted whole by publish', () => {
    void client.publish('jobs:42', { type: 'job.started', data: { job_id: '42' } });
    // @ts-expect-error the job's id is missing
    void client.publish('jobs:42', { type: 'job.started', data: {} });
    // @ts-expect-error there is no such state
    void client.publish('s', { type: 'system.status', data: { component: 'x', status: 'fine' } });
    expectTypeOf(client.publish('jobs:42', { type: 'x' })).resolves.toHaveProperty('cursor').toBeString();
  });
});

describe('events of one\'s own', () => {
  const client = createClient<EventMap>({ url: '' });

  test('stand beside those of the package, in their newest version', () => {
    expectTypeOf<EventMap['acme.order']>().toEqualTypeOf<AcmeOrder>();
    expectTypeOf<AcmeOrderV1['total']['cents']>().toBeNumber();
    expectTypeOf<EventMap['job.started']>().toEqualTypeOf<BuiltIn['job.started']>();
    client.subscribe('orders', { 'acme.order': (e) => expectTypeOf(e.data.lines[0]?.sku).toEqualTypeOf<string | undefined>() });
  });

  test('may be nothing, where their schema says so', () => {
    expectTypeOf<Type3dScanDone>().toEqualTypeOf<{ error?: 'a' | 'b' } | null>();
  });

  test('replace one of the package of the same name', () => {
    expectTypeOf<EventMap['job.progress']['done']>().toEqualTypeOf<boolean | undefined>();
  });
});

test('the server for tests fits into the options of a client', () => {
  expectTypeOf(createTestServer().options).toExtend<ClientOptions>();
});
