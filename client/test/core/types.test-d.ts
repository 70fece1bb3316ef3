import { expectTypeOf, test } from 'vitest';
import type { Client, EventMap } from '../../src/index.js';
import { isEvent } from '../../src/index.js';

interface Own {
  'x.moved': { row: number };
}
declare const client: Client<EventMap & Own>;

test('handlers know the data of their type', () => {
  client.subscribe('jobs:42', {
    'job.progress': (e) => {
      expectTypeOf(e.type).toEqualTypeOf<'job.progress'>();
      expectTypeOf(e.data.percent).toEqualTypeOf<number | undefined>();
    },
    'x.moved': (e) => expectTypeOf(e.data).toEqualTypeOf<{ row: number }>(),
    'not.known': (e) => expectTypeOf(e.data).toBeUnknown(),
    '*': (e) => expectTypeOf(e.data).toBeUnknown(),
  });
  client.subscribe('jobs:42', (e) => {
    expectTypeOf(e.data).toBeUnknown();
    if (isEvent(e, 'job.progress')) expectTypeOf(e.data.job_id).toBeString();
  });
  // @ts-expect-error the data has no such field
  client.subscribe('jobs:42', { 'x.moved': (e) => e.data.column });
  // @ts-expect-error the handler wants other data
  client.subscribe('jobs:42', { 'x.moved': (e: { data: { row: string } }) => e.data.row });
});

test('publish wants the data of its type', () => {
  void client.publish('a', { type: 'x.moved', data: { row: 1 } });
  void client.publish('a', { type: 'not.known' });
  void client.publish('a', { type: 'not.known', data: [1] });
  // @ts-expect-error the data is of another type
  void client.publish('a', { type: 'x.moved', data: { row: '1' } });
  // @ts-expect-error the data is missing
  void client.publish('a', { type: 'x.moved' });
});
