import type { ConnectionStatus } from '@tallywire/client';
import { describe, expect, it } from 'vitest';
import { say } from '../src/connection/state';
import { caughtUp } from '../src/ui/cursor';
import { digits, duration, nothing } from '../src/ui/format';

const status = (s: Partial<ConnectionStatus>): ConnectionStatus => ({
  status: 'live', transport: 'websocket', latencyMs: 4.4, lastError: null, retryAt: null, user: 'a', session: 's', gateway: 'gw-1', ...s,
});
const now = 1_000_000;

describe('the badge', () => {
  it.each([
    ['Live', status({}), null, true, 'WebSocket · gw-1 · 4 ms\u2007\u2007'],
    ['Live', status({ transport: 'sse', latencyMs: null }), null, true, 'event stream · gw-1'],
    ['Polling', status({ transport: 'poll' }), null, true, 'long polling'],
    ['Degraded', status({ status: 'degraded' }), null, true, 'events are late'],
    ['Connecting', status({ status: 'connecting', transport: null }), null, true, ''],
    ['Reconnecting', status({ status: 'reconnecting', transport: null, retryAt: now + 2_500 }), now - 1_000, true, 'next attempt in 3 s'],
    ['Stale', status({ status: 'reconnecting', transport: null }), now - 11_000, true, 'figures as of'],
    ['Offline', status({ status: 'reconnecting', transport: null }), now - 1_000, false, 'figures as of'],
    ['Closed', status({ status: 'closed', transport: null }), null, true, ''],
  ])('says %s', (title, s, since, online, detail) => {
    const said = say(s, since, online, now);
    expect(said.title).toBe(title);
    expect(said.detail).toContain(detail);
  });
});

describe('small things', () => {
  it('knows when all has come', () => {
    expect(caughtUp('0', '1-1795514041000000')).toBe(true);
    expect(caughtUp('41-1', '43-1')).toBe(false);
    expect(caughtUp('43-1', '43-1')).toBe(true);
    expect(caughtUp(undefined, '43-1')).toBe(false);
  });
  it('groups digits without making floats of them', () => {
    expect(digits('-1234567890123456.78')).toBe('\u22121,234,567,890,123,456.78');
    expect([nothing('0.00'), nothing('-0'), nothing('0.01')]).toEqual([true, true, false]);
    expect([duration(65_000), duration(-1), duration(3_605_000)]).toEqual(['1:05', '0:00', '1:00:05']);
  });
});
