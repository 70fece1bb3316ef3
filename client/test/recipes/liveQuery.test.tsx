// @vitest-environment jsdom
import { readFileSync } from 'node:fs';
import { act, cleanup, render } from '@testing-library/react';
import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RealtimeProvider } from '../../src/react/index.js';
import { StubClient } from '../react/stub.js';
import { useLiveQuery } from './liveQuery.js';

interface Row {
  match_id: string;
  note?: string;
}

let fetches = 0;
function Matches({ applies }: { applies: boolean }): ReactNode {
  const { data } = useQuery({
    queryKey: ['matches'],
    staleTime: Infinity,
    queryFn: () => Promise.resolve<Row[]>([{ match_id: 'a' }, { match_id: 'b', note: `fetch ${++fetches}` }]),
  });
  useLiveQuery({
    channel: 'matches:1',
    types: ['match.updated', 'match.deleted'],
    queryKey: ['matches'],
    apply: (rows: Row[], type, match) =>
      !applies
        ? undefined
        : type === 'match.deleted'
          ? rows.filter((row) => row.match_id !== match.match_id)
          : rows.map((row) => (row.match_id === match.match_id ? { ...row, ...match } : row)),
  });
  return data?.map((r) => `${r.match_id}:${r.note ?? ''}`).join(' ');
}

async function mount(applies: boolean): Promise<{ client: StubClient; text: () => string; after: (ms: number) => Promise<void> }> {
  const client = new StubClient();
  const { container } = render(
    <QueryClientProvider client={new QueryClient()}>
      <RealtimeProvider client={client}>
        <Matches applies={applies} />
      </RealtimeProvider>
    </QueryClientProvider>,
  );
  const after = async (ms: number): Promise<void> => act(async () => void (await vi.advanceTimersByTimeAsync(ms)));
  await after(10);
  return { client, text: () => container.textContent ?? '', after };
}

beforeEach(() => {
  vi.useFakeTimers();
  fetches = 0;
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

describe('the TanStack Query recipe', () => {
  it('changes the cached data from events, without a request', async () => {
    const { client, text, after } = await mount(true);
    expect(text()).toBe('a: b:fetch 1');
    client.emit('matches:1', 'match.updated', { match_id: 'a', changed: ['note'], note: 'seen' });
    client.emit('matches:1', 'match.deleted', { match_id: 'b' });
    await after(1_000);
    expect(text()).toBe('a:seen');
    expect(fetches).toBe(1);
  });

  it('fetches once for a burst where it cannot apply', async () => {
    const { client, text, after } = await mount(false);
    for (let n = 0; n < 500; n++) client.emit('matches:1', 'match.updated', { match_id: 'a', changed: [] });
    await after(1_000);
    expect(fetches).toBe(2);
    expect(text()).toBe('a: b:fetch 2');
  });

  it('fetches again after a reset', async () => {
    const { client, after } = await mount(true);
    act(() => client.reset('matches:1', 'trimmed'));
    await after(1_000);
    expect(fetches).toBe(2);
  });

  it('is what the document shows', () => {
    const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
    const [, shown] = /```tsx\n([^]*?)```/.exec(read('../../recipes/tanstack-query.md')) ?? [];
    expect(shown).toBe(read('./liveQuery.tsx').replace('../../src/react/index.js', '@tallywire/client/react'));
  });
});
