import { afterEach, vi } from 'vitest';

type Handler = ((e: MessageEvent) => void) | null;

/** Tabs of one origin in one process: each has its own end of channels and its own locks, and can die or freeze. */
export class Tab {
  static readonly #all = new Set<Tab>();
  static readonly #held = new Map<string, Holder>();
  static readonly #waiting: Holder[] = [];
  readonly channels = new Set<FakeChannel>();
  frozen = false;
  dead = false;

  constructor() {
    Tab.#all.add(this);
  }

  /** Runs something as this tab's script: its globals are this tab's. */
  run<T>(fn: () => T): T {
    // eslint-disable-next-line @typescript-eslint/no-this-alias
    const tab = this;
    vi.stubGlobal(
      'BroadcastChannel',
      class extends FakeChannel {
        constructor(name: string) {
          super(name, tab);
        }
      },
    );
    vi.stubGlobal('navigator', { locks: { request: this.#request.bind(this) } });
    return fn();
  }

  /** The tab is closed, or crashes: its locks are free, and nothing of it is heard any more. */
  die(): void {
    this.dead = true;
    for (const c of this.channels) c.close();
    for (const [, h] of Tab.#held) if (h.tab === this) h.release();
    for (let i = Tab.#waiting.length - 1; i >= 0; i--) if (Tab.#waiting[i]?.tab === this) Tab.#waiting.splice(i, 1);
    Tab.#all.delete(this);
  }

  static post(from: FakeChannel, data: unknown): void {
    const copy = structuredClone(data);
    for (const tab of Tab.#all) {
      for (const c of tab.channels) {
        if (c === from || c.name !== from.name) continue;
        queueMicrotask(() => {
          if (!tab.frozen && tab.channels.has(c)) c.onmessage?.({ data: copy } as MessageEvent);
        });
      }
    }
  }

  static reset(): void {
    for (const tab of [...Tab.#all]) tab.die();
    Tab.#held.clear();
  }

  #request(name: string, a: LockOptions | LockGrantedCallback<unknown>, b?: LockGrantedCallback<unknown>): Promise<unknown> {
    const options = typeof a === 'function' ? {} : a;
    const callback = (typeof a === 'function' ? a : b) as (lock: object | null) => unknown;
    return new Promise((resolve, reject) => {
      const h: Holder = { tab: this, name, grant: () => {}, release: () => {}, reject };
      h.grant = () => {
        Tab.#held.set(name, h);
        h.release = () => {
          if (Tab.#held.get(name) !== h) return;
          Tab.#held.delete(name);
          const i = Tab.#waiting.findIndex((w) => w.name === name);
          if (i >= 0) Tab.#waiting.splice(i, 1)[0]?.grant();
        };
        queueMicrotask(() => {
          Promise.resolve(callback({ name })).then(
            (v) => (h.release(), resolve(v)),
            (e: unknown) => (h.release(), reject(e)),
          );
        });
      };
      options.signal?.addEventListener('abort', () => {
        const i = Tab.#waiting.indexOf(h);
        if (i >= 0) Tab.#waiting.splice(i, 1);
        reject(new DOMException('aborted', 'AbortError'));
      });
      if (options.signal?.aborted) return reject(new DOMException('aborted', 'AbortError'));
      const holder = Tab.#held.get(name);
      if (!holder) return h.grant();
      if (options.ifAvailable) return void queueMicrotask(() => resolve(callback(null)));
      if (!options.steal) return void Tab.#waiting.push(h);
      Tab.#held.delete(name);
      holder.reject(new DOMException('stolen', 'AbortError'));
      h.grant();
      return undefined;
    });
  }
}

interface Holder {
  readonly tab: Tab;
  readonly name: string;
  grant(): void;
  release(): void;
  reject(e: unknown): void;
}

class FakeChannel {
  onmessage: Handler = null;
  constructor(
    readonly name: string,
    readonly tab: Tab,
  ) {
    tab.channels.add(this);
  }
  postMessage(data: unknown): void {
    if (this.tab.dead) return;
    if (!this.tab.channels.has(this)) throw new DOMException('closed', 'InvalidStateError');
    if (!this.tab.frozen) Tab.post(this, data);
  }
  close(): void {
    this.tab.channels.delete(this);
  }
}

afterEach(() => {
  Tab.reset();
  vi.unstubAllGlobals();
});
