// @vitest-environment jsdom
import { act, cleanup, render } from '@testing-library/react';
import { StrictMode, type ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RealtimeProvider, useEvent, useJobProgress, useMembers, usePresence, useWebSocketIntegration } from '../../src/react/index.js';
import { createTestServer, type TestServer } from '../../src/testing/index.js';

let server: TestServer;

beforeEach(() => {
  vi.useFakeTimers();
  server = createTestServer();
});
afterEach(async () => {
  cleanup();
  await vi.advanceTimersByTimeAsync(1); // the client ends a moment after the tree, and must not retry by the next test's clock
  server.close();
  vi.useRealTimers();
});

/** Lets time pass, and the parts of the client arrive that are loaded when they are first used. */
const after = (ms: number): Promise<void> =>
  act(async () => {
    await vi.advanceTimersByTimeAsync(1);
    await vi.dynamicImportSettled();
    await vi.advanceTimersByTimeAsync(ms);
  });

const seen: number[] = [];
function Job(): ReactNode {
  const { status } = useWebSocketIntegration({ channels: ['jobs:1'] });
  const { state, percent } = useJobProgress('1');
  useEvent('jobs:1', 'job.progress', (e) => seen.push(e.data.percent ?? -1));
  usePresence('jobs:1', { row: 1 });
  const who = useMembers('jobs:1', { select: (m) => m.members.map((one) => one.user).join() });
  return [status, state, percent ?? '-', who].join(' ');
}

async function mount(): Promise<{ text: () => string; unmount: () => void }> {
  seen.length = 0;
  const { container, unmount } = render(
    <StrictMode>
      <RealtimeProvider options={{ ...server.options, token: 'alice' }}>
        <Job />
      </RealtimeProvider>
    </StrictMode>,
  );
  await after(100);
  return { text: () => container.textContent ?? '', unmount };
}

const progress = (percent: number): string => server.publish('jobs:1', { type: 'job.progress', data: { job_id: '1', percent } });
const frames = (type: string): number => server.received.filter((r) => r.frame.type === type).length;

describe('the hooks on a gateway', () => {
  it('make one connection and one subscription, also in StrictMode', async () => {
    progress(1);
    const { text } = await mount();
    await after(5_000);
    expect(server.connections).toHaveLength(1);
    expect(frames('connect')).toBe(1);
    expect(frames('unsubscribe')).toBe(0);
    expect(server.members('jobs:1').map((m) => m.sessions)).toEqual([1]);
    expect(text()).toMatch(/^live running 1 /);
    expect(seen).toEqual([]); // it was there before, and `useEvent` begins now
  });

  it('show every event once and in order across a cut', async () => {
    const { text } = await mount();
    for (let n = 0; n < 50; n++) progress(n);
    await after(20);
    server.disconnect();
    for (let n = 50; n < 100; n++) progress(n);
    await after(5_000);
    expect(seen).toEqual(Array.from({ length: 100 }, (_, n) => n));
    expect(text()).toMatch(/^live running 99 /);
  });

  it('leave nothing when they are gone', async () => {
    const { unmount } = await mount();
    unmount();
    await after(60_000);
    expect(server.connections).toHaveLength(0);
    expect(server.members('jobs:1').filter((m) => m.state === 'live')).toHaveLength(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
