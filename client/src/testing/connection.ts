import { decodeMessage, type ClientFrame } from './decode.js';
import { mayRetry, serverFrames, type Failure, type Frame, type FrameId } from './frames.js';
import type { Hub } from './hub.js';
import { expired } from './listen.js';
import type { Pipe } from './network.js';
import { Session, type Outlet } from './session.js';
import { isPrincipal } from './tokens.js';

const maxMessageBytes = 72 << 10;
const connectTimeoutMs = 5_000;
const maxRefused = 3;
const maxBadFrames = 100;
const badFramesWindowMs = 10_000;

/** The client's end of a connection, as the server sees it. */
export interface Peer {
  message(data: string): void;
  close(code: number, reason: string): void;
  lost(): void;
}

/** The server's end of a WebSocket. */
export class ServerSocket implements Outlet {
  #session: Session | undefined;
  #ended = false;
  #refused = 0;
  #bad = { since: 0, count: 0 };
  #lastRead: number;
  #connectTimer: ReturnType<typeof setTimeout> | undefined;
  #watchTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #hub: Hub;
  readonly #down: Pipe;
  readonly #peer: Peer;

  constructor(hub: Hub, down: Pipe, peer: Peer) {
    this.#hub = hub;
    this.#down = down;
    this.#peer = peer;
    this.#lastRead = hub.now();
    hub.outlets.add(this);
    this.#connectTimer = setTimeout(() => {
      this.#expel({ code: 'connect_timeout', message: 'no connect frame in time' }, 4408);
    }, connectTimeoutMs);
  }

  /** Takes a message of the client. */
  receive(data: string): void {
    if (this.#ended) return;
    this.#lastRead = this.#hub.now();
    if (new TextEncoder().encode(data).length > maxMessageBytes) {
      this.#fail(undefined, { code: 'frame_too_large', message: 'the message is larger than 72 KB' });
      return;
    }
    for (const { frame, error } of decodeMessage(data)) {
      if (this.#ended) return;
      if (error) this.#fail(frame.id, error);
      else this.#command(frame);
    }
  }

  #command(f: ClientFrame): void {
    if (this.#session) this.#session.command(f);
    else if (f.type === 'connect') this.#connect(f);
    else if (f.type === 'ping') this.write([serverFrames.pong()]);
    else if (f.type !== 'pong') {
      this.#fail(f.id, { code: 'not_connected', message: 'the first frame must be `connect`' });
    }
    this.#hub.note({ transport: 'websocket', session: this.#session?.session, type: f.type, frame: { ...f } });
  }

  #connect(f: ClientFrame): void {
    const judged = this.#hub.authenticate(f.token);
    if (!isPrincipal(judged)) {
      this.#fail(f.id, judged);
      if (!mayRetry(judged.code) && ++this.#refused >= maxRefused) {
        this.#expel({ code: 'unauthorized', message: 'too many tokens refused' }, 4401);
      }
      return;
    }
    clearTimeout(this.#connectTimer);
    this.#session = new Session(this.#hub, 'websocket', f.session || this.#hub.newName(), judged, this);
    this.#session.welcome(f.id);
    this.#watch();
  }

  /** Looks at the client's silence and at its token, and again when one of them may be over. */
  #watch(): void {
    const session = this.#session;
    if (!session || this.#ended) return;
    const now = this.#hub.now();
    const { pingMs } = this.#hub.options;
    const silence = now - this.#lastRead;
    if (session.principal.expires <= now) {
      session.expel(expired, 4401);
      return;
    }
    if (silence >= 2 * pingMs) {
      this.cut(false);
      return;
    }
    if (silence >= pingMs) session.send(serverFrames.ping());
    const wait = Math.min(pingMs - (silence % pingMs), session.principal.expires - now);
    this.#watchTimer = setTimeout(() => this.#watch(), wait);
  }

  #fail(id: FrameId, failure: Failure): void {
    const frame = serverFrames.error(id, failure);
    if (this.#session) this.#session.send(frame);
    else this.write([frame]);
    const now = this.#hub.now();
    if (now - this.#bad.since > badFramesWindowMs) this.#bad = { since: now, count: 0 };
    if (++this.#bad.count > maxBadFrames) {
      this.#expel({ code: 'too_many_errors', message: 'too many bad frames' }, 4429);
    }
  }

  #expel(failure: Failure, code: number): void {
    if (this.#session) {
      this.#session.expel(failure, code);
      return;
    }
    this.write([serverFrames.error(undefined, failure)]);
    this.close(code, failure.code);
  }

  write(frames: readonly Frame[]): void {
    const left = this.#hub.network.surviving(frames);
    if (left.length > 0) this.#down.send(() => this.#peer.message(JSON.stringify(left)));
  }

  close(code: number, reason: string): void {
    if (this.#ended) return;
    this.gone();
    this.#down.send(() => this.#peer.close(code, reason));
  }

  cut(silent: boolean): void {
    if (this.#ended) return;
    this.gone();
    this.#down.close();
    if (!silent) void Promise.resolve().then(() => this.#peer.lost());
  }

  /** Notes that the client is gone. */
  gone(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#connectTimer);
    clearTimeout(this.#watchTimer);
    this.#hub.outlets.delete(this);
    this.#session?.end();
    this.#hub.changed();
  }
}
