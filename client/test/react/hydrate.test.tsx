// @vitest-environment jsdom
import { act, cleanup } from '@testing-library/react';
import { hydrateRoot } from 'react-dom/client';
import { afterEach, expect, it, vi } from 'vitest';
import type { ReactNode } from 'react';
import { RealtimeProvider, useConnectionStatus, useLatest } from '../../src/react/index.js';
import { StubClient } from './stub.js';

afterEach(cleanup);

function Page(): ReactNode {
  const { status } = useConnectionStatus();
  return <p>{`${status} ${useLatest('a', { select: (e) => e?.id ?? 'none' })}`}</p>;
}

it('hydrates what a server has rendered, and then shows what is so', async () => {
  const complaints = vi.spyOn(console, 'error').mockImplementation(() => {});
  const client = new StubClient();
  document.body.innerHTML = '<div id="app"><p>idle none</p></div>';
  const app = document.getElementById('app') as HTMLElement;
  const recovered: unknown[] = [];
  const root = await act(async () =>
    hydrateRoot(app, <RealtimeProvider client={client}><Page /></RealtimeProvider>, { onRecoverableError: (e) => recovered.push(e) }),
  );
  expect(app.textContent).toBe('live none');
  expect([recovered, complaints.mock.calls]).toEqual([[], []]);
  act(() => root.unmount());
});
