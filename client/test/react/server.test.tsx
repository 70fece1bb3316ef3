// @vitest-environment node
import { renderToString } from 'react-dom/server';
import { Suspense, type ReactNode } from 'react';
import { describe, expect, it } from 'vitest';
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
import { StubClient } from './stub.js';

function Page(): ReactNode {
  const { status, transport } = useWebSocketIntegration({ channels: ['a'] });
  const seen = useConnectionStatus({ select: (s) => s.status });
  const { phase } = useChannel('a');
  useEvent('a', '*', () => {});
  usePresence('a', { row: 1 });
  const latest = useLatest('a', { select: (e) => e?.id ?? 'none' });
  const members = useMembers('a', { select: (m) => m.count });
  const job = useJobProgress('1');
  const { notifications } = useNotifications();
  return <p>{[status, transport ?? '-', seen, phase, latest, members, job.state, notifications.unread].join(' ')}</p>;
}

describe('on a server', () => {
  it('renders what is known before anything is, and does nothing', () => {
    const client = new StubClient();
    const html = renderToString(
      <RealtimeProvider client={client}>
        <Suspense fallback="…">
          <Page />
        </Suspense>
      </RealtimeProvider>,
    );
    expect(html).toContain('<p>idle - idle pending none 0 unknown 0</p>');
    expect([client.left, client.wire.length, client.presenceLog.length]).toEqual([0, 0, 0]);
  });
});
