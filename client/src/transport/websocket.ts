import { between } from '../backoff.js';
import { refusal, TallywireError } from '../error.js';
import type { ClientFrame, ServerFrame } from '../frame.js';
import { readFrames, takeMessage } from '../frame.js';
import type { Link, LinkHandler, LinkOptions } from './link.js';

const CONNECT_ID = 0;
const DEFAULT_PING_MS = 25_000;
/** How long the answer to a probe may take. */
const PROBE_MS = 5_000;
/** Channels of one frame: with the longest names and cursors they fit into a message. */
const SUBSCRIBE_CHANNELS = 250;

/** Opens a WebSocket on /v1/ws. */
export function openWebSocket(o: LinkOptions, on: LinkHandler): Link {
  if (!o.WebSocket) throw new TallywireError('invalid_argument', 'no WebSocket here: pass one in the options');
  const ws = new o.WebSocket(`${o.base.replace(/^http/, 'ws')}/v1/ws`, 'tallywire.v1');
  const began = Date.now();
  const early: ClientFrame[] = [];
  let up = false;
  let ended = false;
  let heard = began;
  let pinged = 0;
  let pingMs = DEFAULT_PING_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let refused: TallywireError | undefined;

  function close(): void {
    ended = true;
    clearTimeout(timer);
    ws.onopen = ws.onmessage = ws.onclose = null;
    ws.onerror = () => {}; // one that is closed while it connects says so, and `ws` throws where nobody listens
    try {
      ws.close(1000);
    } catch {
      // It is closed already.
    }
  }

  function end(error: TallywireError): void {
    if (ended) return;
    close();
    on.down(error);
  }

  function write(frames: ClientFrame[]): void {
    if (!up) {
      early.push(...frames);
      return;
    }
    while (frames.length > 0 && !ended) {
      const message = takeMessage(frames);
      raw(message.length === 1 ? message[0] : message);
    }
  }

  function raw(message: unknown): void {
    try {
      ws.send(JSON.stringify(message));
    } catch (cause) {
      end(new TallywireError('network', 'socket closed', { retry: true, cause }));
    }
  }

  /** Pings in ms, and expects to hear something within patience. */
  function beat(ms: number, patience: number): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      pinged = Date.now();
      heard = Math.min(heard, pinged - 1);
      raw({ type: 'ping' });
      timer = setTimeout(() => {
        if (heard < pinged) silent();
        else beat(between(0, 0.2) * pingMs, pingMs);
      }, patience);
    }, ms);
  }

  function silent(): void {
    end(new TallywireError('timeout', 'the gateway is silent', { retry: true }));
  }

  function connected(f: ServerFrame): void {
    up = true;
    pingMs = f.ping_ms || DEFAULT_PING_MS;
    on.rtt(Date.now() - began);
    beat(between(0.6, 0.8) * pingMs, pingMs);
    on.open(f);
    write(early.splice(0));
  }

  /** Takes what concerns the connection itself and reports whether that is all. */
  function control(f: ServerFrame): boolean {
    switch (f.type) {
      case 'ping':
        raw({ type: 'pong' });
        return true;
      case 'pong':
        if (pinged > 0) on.rtt(Date.now() - pinged);
        return true;
      case 'connected':
        if (!up) connected(f);
        return true;
      case 'error':
        if (f.channel === undefined && (f.id === undefined || !up)) refused = refusal(f);
        if (refused && !up) end(refused);
        return !up;
      default:
        return false;
    }
  }

  ws.onopen = () => raw({ type: 'connect', id: CONNECT_ID, token: o.token, session: o.session });
  ws.onmessage = (m: { data: unknown }) => {
    heard = Date.now();
    try {
      // `connected` comes first; what follows it in the same message comes after `open`.
      const rest = readFrames(String(m.data)).filter((f) => !ended && !control(f));
      if (rest.length > 0 && !ended) on.frames(rest);
    } catch (cause) {
      end(new TallywireError('bad_answer', 'no frames', { retry: true, cause }));
    }
  };
  ws.onclose = (c: { code: number; reason: string }) => {
    const code = c.code === 4401 ? 'unauthorized' : c.code === 4429 ? 'too_many_errors' : 'network';
    end(refused ?? new TallywireError(code, c.reason || `socket closed (${c.code})`, { retry: true, status: c.code }));
  };
  ws.onerror = () => {}; // `onclose` follows

  return {
    name: 'websocket',
    proven: () => up,
    subscribe(id, channels) {
      for (let i = 0; i < channels.length; i += SUBSCRIBE_CHANNELS) {
        write([{ type: 'subscribe', id, channels: channels.slice(i, i + SUBSCRIBE_CHANNELS) }]);
      }
    },
    unsubscribe: (names) => write([{ type: 'unsubscribe', channels: names.map((channel) => ({ channel })) }]),
    send: (frames) => write([...frames]),
    refresh: (id, token) => write([{ type: 'refresh', id, token }]),
    probe() {
      if (!up) return;
      if (Date.now() - heard > 2 * pingMs) silent();
      else beat(0, PROBE_MS);
    },
    close,
  };
}
