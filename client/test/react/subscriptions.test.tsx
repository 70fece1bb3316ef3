// @vitest-environment jsdom
import { act, cleanup } from '@testing-library/react';
import { useState, type ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  useChannel,
  useEvent,
  usePresence,
  useWebSocketIntegration,
  type Integration,
  type IntegrationOptions,
} from '../../src/react/index.js';
import { frame, later, mount } from './harness.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

describe('useEvent', () => {
  it('calls the newest callback with every event of a burst, and renders nothing', () => {
    const seen: string[] = [];
    let renders = 0;
    function Listening({ tag }: { tag: string }): ReactNode {
      renders++;
      useEvent('jobs:1', 'job.progress', (e) => seen.push(`${tag}${e.data.percent}`));
      return null;
    }
    const { client, show } = mount(<Listening tag="a" />);
    show(<Listening tag="b" />);
    for (let n = 0; n < 1_000; n++) client.emit('jobs:1', 'job.progress', { job_id: '1', percent: n });
    client.emit('jobs:1', 'job.completed', { job_id: '1' });
    expect(seen).toEqual(Array.from({ length: 1_000 }, (_, n) => `b${n}`));
    expect(renders).toBe(2);
    expect(client.wire).toEqual(['jobs:1']);
  });

  it('takes several types, or all', () => {
    const some: string[] = [];
    const all: string[] = [];
    function Listening(): ReactNode {
      useEvent('c', ['job.started', 'job.failed'], (e) => some.push(e.type));
      useEvent('c', '*', (e) => all.push(e.type));
      return null;
    }
    const { client } = mount(<Listening />);
    for (const type of ['job.started', 'job.progress', 'job.failed', 'x.other', '*']) client.emit('c', type, {});
    expect(some).toEqual(['job.started', 'job.failed']);
    expect(all).toEqual(['job.started', 'job.progress', 'job.failed', 'x.other', '*']);
  });

  it('keeps other callbacks running when one throws', () => {
    const seen: string[] = [];
    function Broken(): ReactNode {
      useEvent('c', '*', () => {
        throw new Error('mine');
      });
      return null;
    }
    function Sound(): ReactNode {
      useEvent('c', '*', (e) => seen.push(e.type));
      return 'here';
    }
    const { client, container } = mount(<><Broken /><Sound /></>);
    client.emit('c', 'x', 1);
    client.emit('c', 'y', 1);
    expect(seen).toEqual(['x', 'y']);
    expect(client.errors.map((e) => (e.cause as Error).message)).toEqual(['mine', 'mine']);
    expect(container.textContent).toBe('here');
  });

  it('tells of resets and refusals, or leaves the latter to the client', () => {
    const told: string[] = [];
    function Listening({ mine }: { mine: boolean }): ReactNode {
      useEvent('c', '*', () => {}, {
        onReset: (r) => told.push(r.reason),
        onError: mine ? (e) => told.push(e.code) : undefined,
      });
      return null;
    }
    const first = mount(<Listening mine />);
    first.client.reset('c', 'trimmed');
    first.client.fail('c', 'forbidden');
    expect(told).toEqual(['trimmed', 'forbidden']);
    const second = mount(<Listening mine={false} />);
    second.client.fail('c', 'forbidden');
    expect(second.client.errors.map((e) => e.code)).toEqual(['forbidden']);
  });
});

describe('useChannel', () => {
  it('renders for what is read of it', () => {
    const renders = { phase: 0, cursor: 0 };
    function Phase(): ReactNode {
      renders.phase++;
      return useChannel('c').phase;
    }
    function Cursor(): ReactNode {
      renders.cursor++;
      return useChannel('c').cursor ?? 'none';
    }
    const { client, container } = mount(<><Phase /> <Cursor /></>);
    expect(container.textContent).toBe('live 1-1');
    const before = { ...renders };
    for (let n = 0; n < 100; n++) client.emit('c', 'x', n);
    frame();
    expect(container.textContent).toBe('live 101-101');
    expect(renders).toEqual({ phase: before.phase, cursor: before.cursor + 1 });
    client.fail('c', 'forbidden');
    frame();
    expect(container.textContent).toBe('failed 101-101');
  });

  it('dispatches by type and publishes to its channel', async () => {
    const seen: string[] = [];
    let channel: ReturnType<typeof useChannel> | undefined;
    function Room(): ReactNode {
      channel = useChannel('c', {
        on: { 'job.progress': (e) => seen.push(`progress ${e.data.percent}`), '*': (e) => seen.push(`other ${e.type}`) },
      });
      return null;
    }
    const { client, show } = mount(<Room />);
    for (const type of ['job.progress', 'constructor', 'x']) client.emit('c', type, { percent: 1 });
    expect(seen).toEqual(['progress 1', 'other constructor', 'other x']);
    const { publish } = channel ?? {};
    show(<Room />);
    expect(channel?.publish).toBe(publish);
    await publish?.({ type: 'job.started', data: { job_id: '1' } });
    expect(client.published).toEqual([{ channel: 'c', event: { type: 'job.started', data: { job_id: '1' } } }]);
  });

  it('follows another channel, and none while it is skipped', () => {
    function Room({ name, skip = false }: { name: string; skip?: boolean }): ReactNode {
      return useChannel(name, { skip }).phase;
    }
    const { client, container, show } = mount(<Room name="a" />);
    show(<Room name="b" />);
    expect([...client.subs].map((s) => s.channel)).toEqual(['b']);
    show(<Room name="b" skip />);
    expect(client.subs.size).toBe(0);
    expect(container.textContent).toBe('pending');
  });
});

describe('useWebSocketIntegration', () => {
  let it_: Integration<unknown> | undefined;
  function Part<T>({ options, reads }: { options?: IntegrationOptions<T>; reads?: (i: Integration<T>) => ReactNode }): ReactNode {
    const integration = useWebSocketIntegration<T>(options);
    it_ = integration;
    return reads?.(integration) ?? null;
  }

  it('renders for the properties that are read, and for no other', () => {
    let renders = 0;
    const reads = (i: Integration<unknown>): ReactNode => {
      renders++;
      return `${i.status} ${i.transport}`;
    };
    const { client, container } = mount(<Part reads={reads} />);
    expect(container.textContent).toBe('live websocket');
    const before = renders;
    act(() => client.setStatus({ latencyMs: 77 }));
    expect(renders).toBe(before);
    act(() => client.setStatus({ status: 'reconnecting', transport: null }));
    expect(container.textContent).toBe('reconnecting null');
    expect(renders).toBe(before + 1);
  });

  it('can be taken apart and spread', () => {
    mount(<Part reads={(i) => ({ ...i }).status} />);
    const { subscribe, publish, reconnect, user, value } = { ...it_ };
    expect([typeof subscribe, typeof publish, typeof reconnect, user, value]).toEqual(['function', 'function', 'function', 'alice', undefined]);
  });

  it('gives every event to onEvent, and a selection to the render', () => {
    const seen: number[] = [];
    let renders = 0;
    function Sum(): ReactNode {
      renders++;
      const { value } = useWebSocketIntegration<number>({
        channels: ['a', 'b'],
        onEvent: (e) => seen.push(e.data as number),
        select: (e, before = 0) => before + (e.data as number),
      });
      return value ?? 'none';
    }
    const { client, container } = mount(<Sum />);
    const before = renders;
    for (let n = 1; n <= 500; n++) client.emit(n % 2 ? 'a' : 'b', 'x', n);
    frame();
    expect(container.textContent).toBe('125250');
    expect(seen).toHaveLength(500);
    expect(renders).toBe(before + 1);
  });

  it('shows the newest event where nothing is selected, and selects although onEvent throws', () => {
    const { client, container } = mount(
      <Part
        options={{ channels: ['a'], onEvent: () => { throw new Error('mine'); } }}
        reads={(i) => (i.value as { data: string } | undefined)?.data}
      />,
    );
    client.emit('a', 'x', 'first');
    client.emit('a', 'x', 'second');
    frame();
    expect(container.textContent).toBe('second');
    expect(client.errors).toHaveLength(2);
  });

  it('follows a list that changes without leaving what stays', () => {
    const { client, show } = mount(<Part options={{ channels: ['a', 'b'] }} />);
    const [a] = client.subs;
    show(<Part options={{ channels: ['c', 'a', 'a'] }} />);
    expect([...client.subs].map((s) => s.channel)).toEqual(['a', 'c']);
    expect([...client.subs][0]).toBe(a);
    show(<Part options={{ channels: ['a'], from: '0' }} />);
    expect([...client.subs].map((s) => s.options.from)).toEqual(['0']);
    show(<Part options={{ channels: ['a'], from: '0', skip: true }} />);
    expect(client.subs.size).toBe(0);
  });

  it('closes what was subscribed through it, keeps its functions, and reconnects', () => {
    const { client, show } = mount(<Part />);
    const { subscribe, reconnect } = it_ ?? {};
    const one = subscribe?.('a', () => {});
    subscribe?.('b', () => {});
    one?.close();
    one?.close();
    expect([...client.subs].map((s) => s.channel)).toEqual(['b']);
    show(<Part />);
    expect(it_?.subscribe).toBe(subscribe);
    reconnect?.();
    expect(client.reconnects).toBe(1);
    show(null);
    expect(client.subs.size).toBe(0);
  });
});

describe('usePresence', () => {
  let change: (s: { row: number }) => void = () => {};
  function Here({ channel = 'c', skip = false }: { channel?: string; skip?: boolean }): ReactNode {
    const [status, setStatus] = useState({ row: 1 });
    change = setStatus;
    usePresence(channel, { ...status }, { skip });
    return null;
  }

  it('enters, tells changes once, and leaves', async () => {
    const { client, show } = mount(<Here />);
    show(<Here />); // the same status in another object
    act(() => change({ row: 2 }));
    expect(client.presenceLog).toEqual(['join c', 'status {"row":1}', 'status {"row":2}']);
    show(null);
    later(1);
    expect(client.presenceLog.at(-1)).toBe('leave c');
    await act(() => Promise.resolve());
  });

  it('makes no leave where another component takes over in the same channel', async () => {
    const { client, show } = mount(<Here key="1" />);
    show(<Here key="2" />);
    later();
    expect(client.presenceLog.filter((l) => /^(join|leave)/.test(l))).toEqual(['join c']);
    show(<Here key="2" channel="d" />);
    later();
    expect(client.presenceLog.filter((l) => /^(join|leave)/.test(l))).toEqual(['join c', 'join d', 'leave c']);
    show(<Here key="2" channel="d" skip />);
    later();
    expect(client.presenceLog.at(-1)).toBe('leave d');
    await act(() => Promise.resolve());
  });
});
