import { act, render, type RenderResult } from '@testing-library/react';
import { StrictMode, type ReactNode } from 'react';
import { vi } from 'vitest';
import { RealtimeProvider } from '../../src/react/index.js';
import { StubClient } from './stub.js';

/** Renders below a provider with a stub client. */
export function mount(children: ReactNode, { strict = false, client = new StubClient() } = {}): RenderResult & { client: StubClient; show(next: ReactNode): void } {
  const wrap = (content: ReactNode): ReactNode => {
    const tree = <RealtimeProvider client={client}>{content}</RealtimeProvider>;
    return strict ? <StrictMode>{tree}</StrictMode> : tree;
  };
  const result = render(wrap(children));
  return { ...result, client, show: (next) => result.rerender(wrap(next)) };
}

/** One frame later. */
export function frame(): void {
  act(() => {
    vi.advanceTimersByTime(17);
  });
}

/** So much later that nothing lingers. */
export function later(ms = 1_100): void {
  act(() => {
    vi.advanceTimersByTime(ms);
  });
}
