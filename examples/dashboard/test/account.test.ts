import type { ChannelEvent, Client, ConnectionStatus, Reset, SubscribeOptions } from '@tallywire/client';
import { describe, expect, it, vi } from 'vitest';
import { Account } from '../src/connection/account';

interface Fake {
  client: Client;
  emit(cursor: string, skipped?: number): void;
  reset(cursor: string): void;
  status(change: Partial<ConnectionStatus>): void;
}

function fake(): Fake {
  let handler: (e: ChannelEvent) => unknown = () => {};
  let options: SubscribeOptions | undefined;
  let listener = (): void => {};
  let status = { status: 'idle', transport: null } as ConnectionStatus;
  const client = {
    getStatus: () => status,
    onStatus(fn: () => void) {
      listener = fn;
      return () => {};
    },
    subscribe(_channel: string, h: typeof handler, o?: SubscribeOptions) {
      handler = h;
      options = o;
      return { getState: () => ({ head: '8-1' }), close() {} };
    },
  };
  return {
    client: client as unknown as Client,
    emit: (cursor, skipped = 0) => void handler({ channel: 'c', cursor, skipped, type: 'x' } as ChannelEvent),
    reset: (cursor) => options?.onReset?.({ channel: 'c', reason: 'trimmed', cursor, head: cursor } as Reset),
    status(change) {
      status = { ...status, ...change };
      listener();
    },
  };
}

describe('the account of what was delivered', () => {
  it('finds nothing wrong with events in order, conflated ones included', () => {
    const [account, f] = [new Account(), fake()];
    const seen: string[] = [];
    account.watch(f.client).subscribe('c', { x: (e) => seen.push(e.cursor) });
    for (const cursor of ['7-1', '8-1', '9-1']) f.emit(cursor);
    f.emit('13-1', 3);
    expect(seen).toHaveLength(4);
    expect(account.read()).toMatchObject({ received: 4, skipped: 3, duplicates: 0, outOfOrder: 0, gaps: 0, resets: 0 });
    expect(account.read().channels['c']).toMatchObject({ firstCursor: '7-1', lastCursor: '13-1' });
  });

  it('leaves out of the rate what was there before', () => {
    const [account, f] = [new Account(), fake()];
    account.watch(f.client).subscribe('c', () => {});
    for (const cursor of ['7-1', '8-1', '9-1', '10-1']) f.emit(cursor);
    expect(account.events).toBe(2);
    f.reset('3-2'); // another epoch
    f.emit('3-2');
    f.emit('4-2');
    expect(account.events).toBe(3);
  });

  it('counts what is twice, what is missing, and what is out of order', () => {
    const [account, f] = [new Account(), fake()];
    account.watch(f.client).subscribe('c', () => {});
    for (const cursor of ['1-1', '2-1', '2-1', '5-1', '4-1', '6-1']) f.emit(cursor);
    expect(account.read()).toMatchObject({ duplicates: 1, gaps: 1, outOfOrder: 1 });
  });

  it('begins anew after a reset, which counts where something was shown', () => {
    const [account, f] = [new Account(), fake()];
    account.watch(f.client).subscribe('c', () => {});
    f.reset('40-1');
    f.emit('41-1');
    expect(account.read()).toMatchObject({ resets: 0, gaps: 0 });
    f.reset('90-1');
    f.emit('91-1');
    expect(account.read()).toMatchObject({ resets: 1, gaps: 0, duplicates: 0 });
  });

  it('says of a channel what those have had who are still here', () => {
    const [account, f] = [new Account(), fake()];
    const client = account.watch(f.client);
    const first = client.subscribe('c', () => {});
    for (const cursor of ['7-1', '8-1', '9-1']) f.emit(cursor);
    first.close();
    expect(account.read().channels['c']).toMatchObject({ received: 3, lastCursor: '9-1' });
    client.subscribe('c', () => {});
    f.emit('11-1', 3);
    expect(account.read().channels['c']).toMatchObject({ received: 1, skipped: 3, lastCursor: '11-1' });
    expect(account.read().received).toBe(3);
  });

  it('counts reconnects and how long the last one took', () => {
    vi.useFakeTimers();
    const [account, f] = [new Account(), fake()];
    account.watch(f.client);
    f.status({ status: 'live', transport: 'websocket' });
    f.status({ status: 'degraded' });
    f.status({ status: 'reconnecting', transport: null });
    vi.advanceTimersByTime(1_500);
    f.status({ status: 'live', transport: 'poll' });
    expect(account.read()).toMatchObject({ reconnects: 1, lastOutageMs: 1_500, transports: ['websocket', 'poll'] });
    vi.useRealTimers();
  });
});
