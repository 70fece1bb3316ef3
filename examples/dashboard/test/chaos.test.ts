import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Chaos } from '../src/connection/chaos';

/** A browser's socket, as far as the chaos needs one. */
class Socket {
  static made: Socket[] = [];
  static readonly CONNECTING = 0;
  static readonly CLOSED = 3;
  readyState = 0;
  sent: string[] = [];
  onopen: ((e: unknown) => void) | null = null;
  onmessage: ((e: unknown) => void) | null = null;
  onerror: ((e: unknown) => void) | null = null;
  onclose: ((e: unknown) => void) | null = null;
  constructor(readonly url: string) {
    Socket.made.push(this);
  }
  send(data: string): void {
    this.sent.push(data);
  }
  close(): void {
    this.readyState = 3;
  }
}

const answers = vi.fn<typeof globalThis.fetch>();

beforeEach(() => {
  vi.useFakeTimers();
  Socket.made = [];
  answers.mockReset();
  vi.stubGlobal('WebSocket', Socket);
  vi.stubGlobal('fetch', answers);
  vi.stubGlobal('location', { href: 'http://gateway.test/' });
  vi.stubGlobal('CloseEvent', class { constructor(readonly type: string, readonly init: { code: number }) {} });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function socket(chaos: Chaos): { log: string[]; send(data: string): void; close(): void; state(): number } {
  const log: string[] = [];
  const ws = new chaos.WebSocket('ws://gateway.test/v1/ws');
  ws.onopen = () => log.push('open');
  ws.onmessage = () => log.push('message');
  ws.onerror = () => log.push('error');
  ws.onclose = () => log.push('close');
  return { log, send: (d) => ws.send(d), close: () => ws.close(1000), state: () => ws.readyState };
}

describe('sockets', () => {
  it('pass everything on, until they are cut', () => {
    const chaos = new Chaos();
    const one = socket(chaos);
    const [inner] = Socket.made;
    inner?.onopen?.({});
    inner?.onmessage?.({});
    one.send('x');
    expect(inner?.sent).toEqual(['x']);
    chaos.cut();
    chaos.cut();
    inner?.onmessage?.({});
    expect(one.log).toEqual(['open', 'message', 'error', 'close']);
    expect([one.state(), inner?.readyState]).toEqual([3, 3]);
    const next = socket(chaos);
    expect(Socket.made).toHaveLength(2);
    expect(next.log).toEqual([]);
  });

  it('fail while the network is away, without trying', () => {
    const chaos = new Chaos();
    chaos.drop(20_000);
    const one = socket(chaos);
    vi.advanceTimersByTime(100);
    expect(one.log).toEqual(['error', 'close']);
    expect(Socket.made).toHaveLength(0);
    vi.advanceTimersByTime(20_000);
    expect(chaos.getTrouble().offlineUntil).toBeNull();
    socket(chaos);
    expect(Socket.made).toHaveLength(1);
  });

  it('say nothing after they were closed', () => {
    const chaos = new Chaos();
    chaos.drop(20_000);
    const one = socket(chaos);
    one.close();
    vi.advanceTimersByTime(100);
    expect(one.log).toEqual([]);
  });
});

describe('requests', () => {
  /** Answers when it is aborted, as a browser does. */
  const hanging: typeof globalThis.fetch = (_input, init) =>
    new Promise((_done, fail) => init?.signal?.addEventListener('abort', () => fail(init.signal?.reason)));

  it('break when they are cut, and are aborted by whoever made them', async () => {
    const chaos = new Chaos();
    answers.mockImplementation(hanging);
    const cut = chaos.fetch('/v1/poll');
    chaos.cut();
    await expect(cut).rejects.toThrow('the network broke');
    const own = new AbortController();
    const aborted = chaos.fetch('/v1/poll', { signal: own.signal });
    own.abort(new Error('mine'));
    await expect(aborted).rejects.toThrow('mine');
  });

  it('get through where only polling is allowed; streams and sockets do not', async () => {
    const chaos = new Chaos();
    answers.mockImplementation(hanging);
    const stream = chaos.fetch('/v1/sse');
    const one = socket(chaos);
    chaos.pollOnly(true);
    await expect(stream).rejects.toThrow('the network broke');
    expect(one.log).toEqual(['error', 'close']);
    await expect(chaos.fetch('/v1/sse')).rejects.toThrow('the network is away');
    answers.mockResolvedValue(new Response('[]'));
    expect(await (await chaos.fetch('/v1/poll')).text()).toBe('[]');
  });

  it('get through again once everything is mended', async () => {
    const chaos = new Chaos();
    answers.mockImplementation(async () => new Response('[]'));
    chaos.pollOnly(true);
    chaos.drop(20_000);
    await expect(chaos.fetch('/v1/poll')).rejects.toThrow('the network is away');
    chaos.heal();
    expect(chaos.getTrouble()).toEqual({ onlyPolling: false, offlineUntil: null });
    expect(await (await chaos.fetch('/v1/sse')).text()).toBe('[]');
    expect(vi.getTimerCount()).toBe(0);
  });
});
