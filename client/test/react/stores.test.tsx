// @vitest-environment jsdom
import { act, cleanup } from '@testing-library/react';
import { Activity, startTransition, useState, type ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { shallow, useConnectionStatus, useJobProgress, useLatest, useMembers, useNotifications, type NotificationActions } from '../../src/react/index.js';
import { frame, later, mount } from './harness.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

describe('useConnectionStatus', () => {
  it('renders only when the selection has changed', () => {
    let renders = 0;
    function Transport(): ReactNode {
      renders++;
      return useConnectionStatus({ select: (s) => s.transport });
    }
    const { client, container } = mount(<Transport />);
    expect(container.textContent).toBe('websocket');
    const before = renders;
    act(() => client.setStatus({ latencyMs: 9 }));
    act(() => client.setStatus({ latencyMs: 12 }));
    expect(renders).toBe(before);
    act(() => client.setStatus({ transport: 'poll' }));
    expect(container.textContent).toBe('poll');
    expect(renders).toBe(before + 1);
  });

  it('compares selections as it is told to', () => {
    let renders = 0;
    function Both(): ReactNode {
      renders++;
      const { status, transport } = useConnectionStatus({ select: (s) => ({ status: s.status, transport: s.transport }), equal: shallow });
      return `${status} ${transport}`;
    }
    const { client, container } = mount(<Both />);
    const before = renders;
    act(() => client.setStatus({ latencyMs: 9 }));
    expect(renders).toBe(before);
    act(() => client.setStatus({ status: 'degraded' }));
    expect(container.textContent).toBe('degraded websocket');
  });

  it('takes a new inline selector without showing the old selection', () => {
    function Pick({ what }: { what: 'user' | 'gateway' }): ReactNode {
      return useConnectionStatus({ select: (s) => s[what] });
    }
    const { show, container } = mount(<Pick what="user" />);
    show(<Pick what="gateway" />);
    expect(container.textContent).toBe('gw-1');
  });
});

describe('useLatest', () => {
  function Percent({ renders }: { renders?: { n: number } }): ReactNode {
    if (renders) renders.n++;
    return useLatest('jobs:1', { type: 'job.progress', select: (e) => e?.data.percent }) ?? 'none';
  }

  it('renders once a frame, however many events come', () => {
    const renders = { n: 0 };
    const { client, container } = mount(<Percent renders={renders} />);
    const before = renders.n;
    for (let second = 0; second < 60; second++) {
      for (let n = 0; n < 167; n++) client.emit('jobs:1', 'job.progress', { job_id: '1', percent: second + n / 1000 });
      frame();
    }
    expect(container.textContent).toBe('59.166');
    expect(renders.n - before).toBeLessThanOrEqual(60);
    expect(renders.n - before).toBeGreaterThan(30);
  });

  it('shares one subscription, and shows a component that comes later what is known', () => {
    const { client, container, show } = mount(<Percent />);
    client.emit('jobs:1', 'job.progress', { job_id: '1', percent: 7 });
    frame();
    show(<><Percent /> <Percent /></>);
    expect(container.textContent).toBe('7 7');
    expect(client.subs.size).toBe(1);
  });

  it('tells types and subjects apart', () => {
    function Two(): ReactNode {
      const a = useLatest('c', { subject: 'a', select: (e) => e?.id });
      const x = useLatest('c', { type: 'x', subject: 'b', select: (e) => e?.id });
      return `${a} ${x}`;
    }
    const { client, container } = mount(<Two />);
    client.emit('c', 'x', 1, { id: '1', subject: 'a' });
    client.emit('c', 'y', 1, { id: '2', subject: 'b' });
    client.emit('c', 'x', 1, { id: '3', subject: 'b' });
    client.emit('d', 'x', 1, { id: '4', subject: 'b' });
    frame();
    expect(container.textContent).toBe('1 3');
  });

  it('forgets after a fork, not after a trim', () => {
    const { client, container } = mount(<Percent />);
    client.emit('jobs:1', 'job.progress', { job_id: '1', percent: 7 });
    act(() => client.reset('jobs:1', 'trimmed'));
    frame();
    expect(container.textContent).toBe('7');
    act(() => client.reset('jobs:1', 'forked'));
    frame();
    expect(container.textContent).toBe('none');
  });

  it('follows nothing while it is skipped, and another channel when it changes', () => {
    function Skipping({ channel, skip }: { channel: string; skip: boolean }): ReactNode {
      return useLatest(channel, { skip, select: (e) => e?.id }) ?? 'none';
    }
    const { client, container, show } = mount(<Skipping channel="a" skip />);
    expect(client.subs.size).toBe(0);
    show(<Skipping channel="a" skip={false} />);
    client.emit('a', 'x', 1, { id: 'of a' });
    frame();
    expect(container.textContent).toBe('of a');
    show(<Skipping channel="b" skip={false} />);
    expect(container.textContent).toBe('none');
    later();
    expect([...client.subs].map((s) => s.channel)).toEqual(['b']);
    show(<Skipping channel="b" skip />);
    later();
    expect(client.left).toBe(0);
  });

  it('is as it was for a component that comes back at once', () => {
    const { client, container, show } = mount(<Percent />);
    client.emit('jobs:1', 'job.progress', { job_id: '1', percent: 7 });
    frame();
    show(null);
    later(500);
    show(<Percent />);
    expect(container.textContent).toBe('7');
    expect(client.wire).toEqual(['jobs:1']);
    show(null);
    later();
    show(<Percent />);
    expect(container.textContent).toBe('none');
  });

  it('keeps up in a hidden tab, which has no frames', () => {
    const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(true);
    const frames = vi.spyOn(globalThis, 'requestAnimationFrame');
    const { client, container } = mount(<Percent />);
    client.emit('jobs:1', 'job.progress', { job_id: '1', percent: 8 });
    later(20);
    expect(container.textContent).toBe('8');
    expect(frames).not.toHaveBeenCalled();
    hidden.mockRestore();
  });

  it('does not tear: all components of one render show the same', () => {
    const torn: string[] = [];
    function Slow({ id }: { id: number }): ReactNode {
      return <i>{useLatest('jobs:1', { type: 'job.progress', select: (e) => e?.data.percent }) ?? id * 0}</i>;
    }
    let set: (n: number) => void = () => {};
    function Many(): ReactNode {
      const [n, setN] = useState(1);
      set = setN;
      return Array.from({ length: n * 20 }, (_, id) => <Slow key={id} id={id} />);
    }
    const { client, container } = mount(<Many />);
    for (let n = 1; n <= 20; n++) {
      client.emit('jobs:1', 'job.progress', { job_id: '1', percent: n });
      act(() => startTransition(() => set(1 + (n % 4))));
      frame();
      const shown = new Set([...container.querySelectorAll('i')].map((i) => i.textContent));
      if (shown.size !== 1) torn.push([...shown].join());
    }
    expect(torn).toEqual([]);
  });

  it('survives being hidden and shown', () => {
    const tree = (mode: 'visible' | 'hidden'): ReactNode => <Activity mode={mode}><Percent /></Activity>;
    const { client, container, show } = mount(tree('visible'));
    show(tree('hidden'));
    later();
    expect(client.left).toBe(0);
    show(tree('visible'));
    client.emit('jobs:1', 'job.progress', { job_id: '1', percent: 3 });
    frame();
    expect(container.textContent).toBe('3');
  });
});

describe('useMembers', () => {
  it('shows who is there, and a part of it', () => {
    let renders = 0;
    function Names(): ReactNode {
      renders++;
      return useMembers<{ row: number }, string[]>('c', {
        select: (m) => m.members.filter((one) => one.status?.row === 1).map((one) => one.user), equal: shallow,
      }).join();
    }
    const { client, container } = mount(<Names />);
    const member = (user: string, row: number) => ({ user, state: 'live' as const, since: '', sessions: 1, status: { row } });
    const known = { known: true, count: 2, sessions: 2, stale: false, error: undefined };
    act(() => client.setMembers('c', { ...known, members: [member('a', 1), member('b', 2)] }));
    frame();
    expect(container.textContent).toBe('a');
    const before = renders;
    act(() => client.setMembers('c', { ...known, members: [member('a', 1), member('b', 3)] }));
    frame();
    expect(renders).toBe(before);
  });
});

describe('useJobProgress', () => {
  function Job(): ReactNode {
    const job = useJobProgress('1', { stalledAfterMs: 4_000 });
    return `${job.state} ${job.percent ?? '-'} ${job.attempt} ${job.stalled ? 'stalled' : ''} ${job.failed?.error.code ?? ''}`.trim();
  }
  const text = (c: Element): string => c.textContent ?? '';

  it('tells a job from its events', () => {
    const { client, container } = mount(<Job />);
    expect([...client.subs][0]?.options.from).toBe('0');
    expect(text(container)).toMatch(/^unknown/);
    client.emit('jobs:1', 'job.started', { job_id: '1', total: 200 });
    client.emit('jobs:1', 'job.progress', { job_id: '1', processed: 50 });
    client.emit('jobs:1', 'job.progress', { job_id: 'another', processed: 199 });
    frame();
    expect(text(container)).toBe('running 25 1');
    client.emit('jobs:1', 'job.failed', { job_id: '1', error: { code: 'bad_file', message: 'm' }, will_retry: true });
    frame();
    expect(text(container)).toBe('retrying 25 1  bad_file');
    client.emit('jobs:1', 'job.started', { job_id: '1', attempt: 2 });
    frame();
    expect(text(container)).toBe('running - 2');
    client.emit('jobs:1', 'job.failed', { job_id: '1', error: { code: 'bad_file', message: 'm' } });
    frame();
    expect(text(container)).toMatch(/^failed/);
    client.emit('jobs:1', 'job.completed', { job_id: '1' });
    frame();
    expect(text(container)).toMatch(/^completed 100/);
  });

  it('calls a silent job stalled, unless it is the connection that is silent', () => {
    const { client, container } = mount(<Job />);
    client.emit('jobs:1', 'job.progress', { job_id: '1', percent: 5 });
    later(3_000);
    expect(text(container)).toBe('running 5 1');
    later(2_100);
    expect(text(container)).toBe('running 5 1 stalled');
    client.emit('jobs:1', 'job.progress', { job_id: '1', percent: 6 });
    frame();
    expect(text(container)).toBe('running 6 1');
    act(() => client.setStatus({ status: 'reconnecting' }));
    later(20_000);
    expect(text(container)).toBe('running 6 1');
    client.emit('jobs:1', 'job.completed', { job_id: '1' });
    act(() => client.setStatus({ status: 'live' }));
    later(20_000);
    expect(text(container)).toBe('completed 100 1');
  });
});

describe('useNotifications', () => {
  it('keeps the newest, counts what is unread, and agrees between components', () => {
    let actions: NotificationActions | undefined;
    let badge = 0;
    function List(): ReactNode {
      const mine = useNotifications({ limit: 3 });
      actions = mine;
      return mine.notifications.items.map((n) => `${n.id}${n.read ? '' : '*'}`).join(' ');
    }
    function Badge(): ReactNode {
      badge++;
      return <b>{useNotifications({ limit: 3, select: (l) => l.unread }).notifications}</b>;
    }
    const { client, container } = mount(<><List /> <Badge /></>);
    const raise = (id: string, more = {}): void =>
      client.emit('notifications:ops', 'notification.raised', { notification_id: id, severity: 'info', title: id, ...more });
    for (const id of ['a', 'b', 'c', 'd']) raise(id);
    raise('old', { expires_at: '2020-01-01T00:00:00Z' });
    client.emit('notifications:ops', 'other', {});
    frame();
    expect(container.textContent).toBe('d* c* b* 3');
    act(() => actions?.markRead('c'));
    expect(container.textContent).toBe('d* c b* 2');
    raise('b');
    frame();
    expect(container.textContent).toBe('b* d* c 2');
    act(() => actions?.dismiss('d'));
    act(() => actions?.markRead());
    expect(container.textContent).toBe('b c 0');
    const before = badge;
    act(() => actions?.markRead());
    expect(badge).toBe(before);
    act(() => actions?.dismiss());
    expect(container.textContent).toBe(' 0');
    expect(client.subs.size).toBe(1);
  });
});
