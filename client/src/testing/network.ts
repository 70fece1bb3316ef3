import type { Frame } from './frames.js';

/** The ways to the server. `commands` is the upstream of the two that have none of their own. */
export type TransportKind = 'websocket' | 'sse' | 'poll' | 'commands';

/** Decides whether a frame from the server is lost on its way. */
export type FrameFilter = (frame: Frame) => boolean;

/** The network between clients and server, with its faults. Without latency what is sent arrives in a microtask. */
export class Network {
  /** How long each way takes in milliseconds. */
  latencyMs = 0;
  readonly refused = new Set<TransportKind>();
  #frozen = false;
  #pipes = new Set<Pipe>();
  #filters = new Set<FrameFilter>();

  /** Whether nothing gets through. */
  get frozen(): boolean {
    return this.#frozen;
  }

  /** Holds back what is sent, or lets it go on. */
  freeze(frozen: boolean): void {
    this.#frozen = frozen;
    if (!frozen) for (const pipe of this.#pipes) pipe.resume();
  }

  /** Opens one direction of a connection. */
  open(): Pipe {
    const pipe = new Pipe(this, () => this.#pipes.delete(pipe));
    this.#pipes.add(pipe);
    return pipe;
  }

  /** Loses the frames that the filter takes; returns its undo. */
  drop(filter: FrameFilter): () => void {
    this.#filters.add(filter);
    return () => this.#filters.delete(filter);
  }

  /** The frames that are not lost. */
  surviving(frames: readonly Frame[]): Frame[] {
    const filters = [...this.#filters];
    return frames.filter((f) => !filters.some((lost) => lost(f)));
  }

  /** Whether something is on its way that no clock and no thaw is needed for. */
  get busy(): boolean {
    return !this.#frozen && [...this.#pipes].some((p) => p.due);
  }
}

/** One direction of a connection: what goes in comes out in order, after the network's latency. */
export class Pipe {
  #queue: { due: number; run: () => void }[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waking = false;
  #closed = false;
  readonly #network: Network;
  readonly #onClose: () => void;

  constructor(network: Network, onClose: () => void) {
    this.#network = network;
    this.#onClose = onClose;
  }

  /** Has `run` called at the other end. */
  send(run: () => void): void {
    if (this.#closed) return;
    this.#queue.push({ due: Date.now() + this.#network.latencyMs, run });
    this.resume();
  }

  /** Goes on after a freeze. */
  resume(): void {
    const first = this.#queue[0];
    if (!first || this.#waking || this.#closed || this.#network.frozen) return;
    const wait = first.due - Date.now();
    if (wait > 0) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#drain(), wait);
      return;
    }
    this.#waking = true;
    // Not queueMicrotask, which fake timers may take away.
    void Promise.resolve().then(() => {
      this.#waking = false;
      this.#drain();
    });
  }

  #drain(): void {
    while (!this.#closed && !this.#network.frozen) {
      const first = this.#queue[0];
      if (!first || first.due > Date.now()) break;
      this.#queue.shift();
      first.run();
    }
    this.resume();
  }

  /** Whether something waits that is due. */
  get due(): boolean {
    const first = this.#queue[0];
    return first !== undefined && first.due <= Date.now();
  }

  /** Ends it; what is on its way is lost. */
  close(): void {
    this.#closed = true;
    this.#queue = [];
    clearTimeout(this.#timer);
    this.#onClose();
  }
}
