import { TallywireError } from '../../src/error.js';
import type {
  ChannelEvent,
  Client,
  ConnectionStatus,
  EventInput,
  HandlerMap,
  Members,
  PresenceHandle,
  Published,
  SubscribeOptions,
  Subscription,
  SubscriptionState,
} from '../../src/types/index.js';
import type { Events } from '../../src/react/register.js';

const LINGER_MS = 1_000;

interface Sub {
  channel: string;
  handler: (event: ChannelEvent) => unknown;
  options: SubscribeOptions;
  listeners: Set<() => void>;
  state: SubscriptionState;
}

/**
 * A client that keeps the contract of types.ts without a gateway: events are handed to it, and it counts
 * what the hooks leave behind.
 */
export class StubClient implements Client<Events> {
  readonly subs = new Set<Sub>();
  readonly statusListeners = new Set<() => void>();
  readonly memberListeners = new Set<() => void>();
  /** Wire subscriptions that were made, by channel; one that comes back within the linger is the same. */
  readonly wire: string[] = [];
  readonly presenceLog: string[] = [];
  readonly errors: TallywireError[] = [];
  readonly published: { channel: string; event: EventInput }[] = [];
  closed = 0;
  reconnects = 0;
  #wired = new Map<string, { users: number; timer: ReturnType<typeof setTimeout> | undefined }>();
  #offset = 1;
  #status: ConnectionStatus = {
    status: 'live', transport: 'websocket', latencyMs: 4, lastError: null, retryAt: null, user: 'alice', session: 's', gateway: 'gw-1',
  };
  #members = new Map<string, Members>();
  #handles = new Map<string, Set<object>>();

  /** Everything that would keep running if the hooks forgot it. */
  get left(): number {
    return this.subs.size + this.statusListeners.size + this.memberListeners.size + [...this.#handles.values()].reduce((n, s) => n + s.size, 0);
  }

  // What a test does.
  emit(channel: string, type: string, data: unknown, more: Partial<ChannelEvent> = {}): void {
    const offset = ++this.#offset;
    const event: ChannelEvent = {
      channel, type, data, cursor: `${offset}-${offset}`, skipped: 0, id: `${offset}`, source: 'test', subject: undefined,
      time: '2026-11-24T10:00:00Z', attributes: { type, data }, ...more,
    };
    for (const sub of [...this.subs]) {
      if (sub.channel !== channel) continue;
      try {
        sub.handler(event);
      } catch (cause) {
        this.errors.push(new TallywireError('handler_failed', 'a handler threw', { cause }));
      }
      sub.state = { ...sub.state, cursor: event.cursor, head: event.cursor };
      for (const listener of [...sub.listeners]) listener();
    }
  }

  reset(channel: string, reason: string): void {
    for (const sub of this.subs) if (sub.channel === channel) sub.options.onReset?.({ channel, reason, cursor: '1-1', head: '1-1' });
  }

  fail(channel: string, code: string): void {
    const error = new TallywireError(code, code, { channel });
    for (const sub of this.subs) {
      if (sub.channel !== channel) continue;
      sub.state = { ...sub.state, phase: 'failed', error };
      if (sub.options.onError) sub.options.onError(error);
      else this.errors.push(error);
      for (const listener of [...sub.listeners]) listener();
    }
  }

  setStatus(change: Partial<ConnectionStatus>): void {
    this.#status = { ...this.#status, ...change };
    for (const listener of [...this.statusListeners]) listener();
  }

  setMembers(channel: string, members: Members): void {
    this.#members.set(channel, members);
    for (const listener of [...this.memberListeners]) listener();
  }

  // The contract.
  connect(): Promise<void> {
    return Promise.resolve();
  }
  reconnect(): void {
    this.reconnects++;
  }
  close(): Promise<void> {
    this.closed++;
    this.setStatus({ status: 'closed' });
    return Promise.resolve();
  }
  getStatus(): ConnectionStatus {
    return this.#status;
  }
  onStatus(listener: () => void): () => void {
    this.statusListeners.add(listener);
    return () => this.statusListeners.delete(listener);
  }
  on(): () => void {
    return () => {};
  }

  subscribe(channel: string, handler: ((event: ChannelEvent) => unknown) | HandlerMap<Events>, options: SubscribeOptions = {}): Subscription {
    if (typeof handler !== 'function') throw new Error('the hooks hand over functions only');
    const sub: Sub = {
      channel, handler, options, listeners: new Set(),
      state: { phase: 'live', cursor: '1-1', head: '1-1', error: undefined },
    };
    this.subs.add(sub);
    this.#use(channel);
    return {
      channel,
      getState: () => sub.state,
      onState: (listener) => {
        sub.listeners.add(listener);
        return () => sub.listeners.delete(listener);
      },
      close: () => {
        if (this.subs.delete(sub)) this.#unuse(channel);
      },
    };
  }

  #use(channel: string): void {
    let wired = this.#wired.get(channel);
    if (!wired) {
      this.wire.push(channel);
      this.#wired.set(channel, (wired = { users: 0, timer: undefined }));
    }
    clearTimeout(wired.timer);
    wired.users++;
  }

  #unuse(channel: string): void {
    const wired = this.#wired.get(channel);
    if (wired && --wired.users === 0) wired.timer = setTimeout(() => this.#wired.delete(channel), LINGER_MS);
  }

  publish(channel: string, event: EventInput): Promise<Published> {
    this.published.push({ channel, event });
    return Promise.resolve({ channel, id: 'e', cursor: '2-2', ack: 'stored', duplicate: false });
  }
  signal(): boolean {
    return true;
  }

  presence<S>(channel: string): PresenceHandle<S> {
    const handles = this.#handles.get(channel) ?? new Set<object>();
    this.#handles.set(channel, handles);
    const handle: PresenceHandle<S> = {
      channel,
      enter: (status) => {
        if (!handles.size) this.presenceLog.push(`join ${channel}`);
        handles.add(handle);
        this.presenceLog.push(`status ${JSON.stringify(status)}`);
        return Promise.resolve();
      },
      update: (status) => {
        if (!handles.size) this.presenceLog.push(`join ${channel}`);
        handles.add(handle);
        this.presenceLog.push(`status ${JSON.stringify(status)}`);
        return Promise.resolve();
      },
      leave: () => {
        if (handles.delete(handle) && !handles.size) this.presenceLog.push(`leave ${channel}`);
        return Promise.resolve();
      },
      getMembers: () => (this.#members.get(channel) ?? NOBODY) as Members<S>,
      onMembers: (listener) => {
        this.memberListeners.add(listener);
        return () => this.memberListeners.delete(listener);
      },
    };
    return handle;
  }
}

const NOBODY: Members = { known: false, count: 0, sessions: 0, members: [], stale: false, error: undefined };
