// @vitest-environment jsdom
import { act, cleanup, render } from '@testing-library/react';
import { Component, StrictMode, type ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  RealtimeProvider,
  useChannel,
  useConnectionStatus,
  useEvent,
  useJobProgress,
  useLatest,
  useMembers,
  useNotifications,
  usePresence,
  useWebSocketIntegration,
} from '../../src/react/index.js';
import { later, mount } from './harness.js';
import { StubClient } from './stub.js';

const made: StubClient[] = [];
vi.mock('../../src/client.js', () => ({
  createClient: () => {
    const client = new StubClient();
    made.push(client);
    return client;
  },
}));

beforeEach(() => {
  vi.useFakeTimers();
  made.length = 0;
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

/** A component that uses everything there is. */
function Everything({ id = '1' }: { id?: string }): ReactNode {
  const { status, value, subscribe } = useWebSocketIntegration<number>({ channels: [`jobs:${id}`], select: (_, n = 0) => n + 1 });
  useConnectionStatus();
  const { phase } = useChannel(`matches:${id}`, { on: {} });
  useEvent(`matches:${id}`, 'match.created', () => {});
  useLatest('metrics:recon');
  useMembers(`matches:${id}`);
  usePresence(`matches:${id}`, { viewing: id });
  const job = useJobProgress(id);
  const { notifications } = useNotifications();
  void subscribe;
  return [status, value, phase, job.state, notifications.unread].join();
}

const drain = (): Promise<void> => act(() => Promise.resolve());

describe('StrictMode', () => {
  it('subscribes once on the wire, joins once, and leaves nothing twice', async () => {
    const { client, show, container } = mount(<Everything />, { strict: true });
    later(); // beyond every linger
    await drain();
    expect([...client.wire].sort()).toEqual(['jobs:1', 'matches:1', 'metrics:recon', 'notifications:ops']);
    expect(client.presenceLog.filter((l) => /^(join|leave)/.test(l))).toEqual(['join matches:1']);
    client.emit('jobs:1', 'job.progress', { job_id: '1', percent: 1 });
    later(20);
    expect(container.textContent).toBe('live,1,live,running,0');
    show(null);
    later(2_500); // the hooks' linger, and then the client's
    await drain();
    expect(client.left).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('keeps the client of a provider that is given options', async () => {
    const tree = (
      <StrictMode>
        <RealtimeProvider options={{ url: 'https://example.com' }}>
          <Everything />
        </RealtimeProvider>
      </StrictMode>
    );
    const { unmount } = render(tree);
    later();
    await drain();
    const used = made.filter((c) => c.left > 0);
    expect(used).toHaveLength(1);
    expect(used[0]?.closed).toBe(0);
    unmount();
    later();
    await drain();
    expect(used[0]?.closed).toBe(1);
    expect(used[0]?.left).toBe(0);
  });
});

describe('RealtimeProvider', () => {
  it('leaves a client that it was given open, and moves to another', async () => {
    const [a, b] = [new StubClient(), new StubClient()];
    const tree = (client: StubClient): ReactNode => <RealtimeProvider client={client}><Everything /></RealtimeProvider>;
    const { rerender, unmount } = render(tree(a));
    rerender(tree(b));
    later();
    expect([a.left > 0, b.left > 0]).toEqual([false, true]);
    unmount();
    later();
    await drain();
    expect([a.closed, b.closed, a.left, b.left]).toEqual([0, 0, 0, 0]);
  });

  it('is asked for by name where it is missing', () => {
    const quiet = vi.spyOn(console, 'error').mockImplementation(() => {});
    class Boundary extends Component<{ children: ReactNode }, { message: string }> {
      override state = { message: '' };
      static getDerivedStateFromError = (e: Error): { message: string } => ({ message: e.message });
      override render(): ReactNode {
        return this.state.message || this.props.children;
      }
    }
    const { container } = render(<Boundary><Everything /></Boundary>);
    expect(container.textContent).toContain('<RealtimeProvider client={createClient({ url })}>');
    quiet.mockRestore();
  });
});

describe('memory', () => {
  it('has nothing left after a thousand components', async () => {
    const { client, show } = mount(null);
    for (let n = 0; n < 1_000; n++) {
      show(<Everything id={`${n % 50}`} key={n} />);
      if (n % 7 === 0) client.emit(`jobs:${n % 50}`, 'job.progress', { job_id: `${n % 50}`, percent: 1 });
      if (n % 13 === 0) later(700);
      show(null);
    }
    later(2_500);
    await drain();
    expect(client.left).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  }, 60_000);
});
