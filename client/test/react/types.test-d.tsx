import { expectTypeOf, test } from 'vitest';
import type { EventMap } from '../../src/events/index.js';
import type { ChannelEvent, Members, Published } from '../../src/types/index.js';
import {
  useChannel,
  useConnectionStatus,
  useEvent,
  useJobProgress,
  useLatest,
  useMembers,
  useNotifications,
  useWebSocketIntegration,
  type EventsOf,
  type JobProgress,
} from '../../src/react/index.js';

test('events are typed by the map', () => {
  useEvent('c', 'job.progress', (e) => {
    expectTypeOf(e.type).toEqualTypeOf<'job.progress'>();
    expectTypeOf(e.data).toEqualTypeOf<EventMap['job.progress']>();
    expectTypeOf(e.data.percent).toEqualTypeOf<number | undefined>();
  });
  useEvent('c', ['job.started', 'job.failed'], (e) => {
    expectTypeOf(e.type).toEqualTypeOf<'job.started' | 'job.failed'>();
    if (e.type === 'job.failed') expectTypeOf(e.data.error.code).toEqualTypeOf<string>();
  });
  useEvent('c', 'x.unheard', (e) => expectTypeOf(e.data).toEqualTypeOf<unknown>());
  useEvent('c', '*', (e) => expectTypeOf(e.data).toEqualTypeOf<unknown>());
});

test('handlers by type are typed, others are unknown', () => {
  useChannel('c', {
    on: {
      'job.progress': (e) => expectTypeOf(e.data.percent).toEqualTypeOf<number | undefined>(),
      '*': (e) => expectTypeOf(e.data).toEqualTypeOf<unknown>(),
    },
  });
  const { publish } = useChannel('c');
  expectTypeOf(publish({ type: 'job.progress', data: { job_id: '1', percent: 1 } })).toEqualTypeOf<Promise<Published>>();
  // @ts-expect-error percent is a number
  void publish({ type: 'job.progress', data: { job_id: '1', percent: 'half' } });
  void publish({ type: 'x.unheard', data: 1 });
});

test('the latest event, and a part of it', () => {
  expectTypeOf(useLatest('c')).toEqualTypeOf<ChannelEvent | undefined>();
  expectTypeOf(useLatest('c', { type: 'job.progress' })).toEqualTypeOf<ChannelEvent<'job.progress', EventMap['job.progress']> | undefined>();
  expectTypeOf(useLatest('c', { type: 'job.progress', select: (e) => e?.data.percent })).toEqualTypeOf<number | undefined>();
  expectTypeOf(useLatest('c', { type: 'x', select: (e) => e?.data })).toEqualTypeOf<unknown>();
});

test('selections', () => {
  expectTypeOf(useConnectionStatus({ select: (s) => s.transport })).toEqualTypeOf<'websocket' | 'sse' | 'poll' | null>();
  expectTypeOf(useJobProgress('1')).toEqualTypeOf<JobProgress>();
  expectTypeOf(useJobProgress('1', { select: (j) => j.percent ?? 0 })).toEqualTypeOf<number>();
  expectTypeOf(useMembers<{ row: number }>('c')).toEqualTypeOf<Members<{ row: number }>>();
  expectTypeOf(useNotifications({ select: (l) => l.unread }).notifications).toEqualTypeOf<number>();
  const { value, publish } = useWebSocketIntegration({ channels: ['c'], select: (e, before: number = 0) => before + e.skipped });
  expectTypeOf(value).toEqualTypeOf<number | undefined>();
  // @ts-expect-error there is no such data
  void publish('c', { type: 'job.failed', data: { job_id: '1' } });
});

test('event types of one’s own', () => {
  expectTypeOf<EventsOf<object>>().toEqualTypeOf<EventMap>();
  expectTypeOf<EventsOf<{ events: { 'invoice.paid': { invoice: string } } }>>().toEqualTypeOf<{ 'invoice.paid': { invoice: string } }>();
});
