import { TallywireError } from './error.js';
import type { ChannelRequest, ClientFrame, ServerFrame } from './frame.js';
import type { Ask } from './tabs.js';
import type { ChannelEvent, Client, EventInput, PresenceHandle } from './types/index.js';

/** Another tab, served by the one that has the connection as a gateway would. */
export interface Guest {
  ask(a: Ask): void;
  /** Whether there is a connection, and what is to be said about it. */
  announce(live: boolean, about: { transport: string | null; user: string | null; gateway: string | null; degraded: boolean }): void;
  /** Aborted when the guest has gone. */
  readonly signal: AbortSignal;
  close(): void;
}

export function guest(client: Client<Record<string, unknown>>, send: (frames: ServerFrame[]) => void): Guest {
  const gone = new AbortController();
  const subs = new Map<string, () => void>();
  const handles = new Map<string, PresenceHandle>();
  let out: ServerFrame[] = [];
  let told: boolean | undefined;
  let degraded = false;

  /** Sends, once for all that comes in one turn. */
  function say(f: ServerFrame): void {
    if (out.push(f) > 1) return;
    queueMicrotask(() => {
      const frames = out;
      out = [];
      if (!gone.signal.aborted) send(frames);
    });
  }

  function fail(error: unknown, more: { id?: number | undefined; channel?: string | undefined }): void {
    const e = error instanceof TallywireError ? error : new TallywireError('internal', String(error));
    say({ type: 'error', code: e.code, message: e.message, retry: e.retry, ...(e.path !== undefined && { path: e.path }), ...(more as object) });
  }

  function handle(channel: string): PresenceHandle {
    let h = handles.get(channel);
    if (!h) handles.set(channel, (h = client.presence(channel)));
    return h;
  }

  function unsubscribe(channel: string): void {
    subs.get(channel)?.();
    subs.delete(channel);
  }

  function subscribe(id: number, r: ChannelRequest): void {
    const { channel } = r;
    unsubscribe(channel);
    let answered = false;
    const answer = () => {
      const { cursor, head, error } = sub.getState();
      if (answered || error || cursor === undefined) return;
      answered = true;
      say({ type: 'subscribed', id, channel, cursor, head: head ?? cursor, resumed: r.cursor !== undefined });
    };
    const onEvent = (e: ChannelEvent) => {
      answer();
      say({ type: 'event', channel, cursor: e.cursor, skipped: e.skipped, event: e.attributes as ServerFrame['event'] & object });
    };
    const sub = client.subscribe(channel, onEvent, {
      from: r.cursor ?? (r.since === undefined ? 'now' : new Date(r.since)),
      onReset(x) {
        answer();
        say({ type: 'reset', channel, reason: x.reason, ...(x.cursor && { cursor: x.cursor }), ...(x.head && { head: x.head }) });
      },
      onSignal: (x) => say({ type: 'signal', channel, event: x.attributes as ServerFrame['event'] & object }),
      onError: (e) => fail(e, { channel, id: answered ? undefined : id }),
    });
    const undo = [sub.onState(answer), () => sub.close()];
    subs.set(channel, () => undo.forEach((fn) => fn()));
    answer();
    if (!r.presence) return;
    const h = handle(channel);
    const show = () => {
      const { known, count, sessions, members, stale } = h.getMembers();
      if (known) say({ type: 'members', channel, count, sessions, members, ...(stale && { stale_since_ms: 1 }) });
    };
    undo.push(h.onMembers(show));
    show();
  }

  function command(f: ClientFrame): void {
    const { id, channel = '' } = f;
    const done = (frame: Omit<ServerFrame, 'id'>) => say({ ...frame, id });
    const failed = (e: unknown) => fail(e, { id, channel });
    if (f.type === 'ping') say({ type: 'pong' });
    else if (f.type === 'publish') {
      const ack = f['ack'] as 'stored' | undefined;
      client.publish(channel, f['event'] as EventInput, ack && { ack }).then((p) => done({ type: 'published', ...p }), failed);
    } else if (f.type === 'signal') {
      client.signal(channel, f['event'] as EventInput);
      done({ type: 'published' });
    } else if (f.type === 'presence') {
      const h = handle(channel);
      (f['leave'] ? h.leave() : h.enter(f['status'])).then(() => done({ type: 'present', channel }), failed);
    } else fail(new TallywireError('unsupported', `${f.type} is not served between tabs`), { id });
  }

  return {
    signal: gone.signal,
    ask(a) {
      if (a.do === 'send') a.frames.forEach(command);
      else if (a.do === 'unsubscribe') a.channels.forEach(unsubscribe);
      else if (a.do === 'subscribe') a.channels.forEach((r) => subscribe(a.id, r));
    },
    announce(live, { transport, user, gateway, degraded: late }) {
      if (live !== told) {
        if (!live) say({ type: told ? 'lost' : 'waiting' });
        else say({ type: 'connected', ...(transport && { transport }), ...(user && { user }), ...(gateway && { gateway }) });
        told = live;
      }
      if (live && late !== degraded) say({ type: 'degraded', degraded: (degraded = late) });
    },
    close() {
      gone.abort();
      for (const undo of subs.values()) undo();
      for (const h of handles.values()) h.leave().catch(() => {});
      subs.clear();
      handles.clear();
    },
  };
}
