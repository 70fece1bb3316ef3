import type { Client } from '../types/index.js';
import { forget, nextFrame } from './frame.js';
import type { Events } from './register.js';

/** How long a store without components is kept, so that one that comes back at once finds it as it was. */
const LINGER_MS = 1_000;

/** What a store holds, and where it comes from. */
export interface Source<S> {
  /** The same object each time: it is the snapshot on servers too. */
  readonly initial: S;
  /** Begins to follow; `set` may be called at any time until the returned undo. */
  open(client: Client<Events>, set: (change: (state: S) => S) => void): () => void;
}

/**
 * State that all components with the same client and key share. It is open while a component listens.
 * Changes show at the next frame, all at once; `#next` is ahead of `snapshot` until then.
 */
export class SharedStore<S> {
  snapshot: S;
  #next: S;
  readonly #listeners = new Set<() => void>();
  readonly #close: () => void;
  readonly #dispose: () => void;
  #linger: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Client<Events>, source: Source<S>, dispose: () => void) {
    this.snapshot = this.#next = source.initial;
    this.#dispose = dispose;
    this.#close = source.open(client, (change) => {
      this.#next = change(this.#next);
      if (this.#listeners.size && !Object.is(this.#next, this.snapshot)) nextFrame(this.#show);
    });
    this.snapshot = this.#next; // what is known at once is shown at once
  }

  /** Changes the state now, as a person's click wants it. */
  change(change: (state: S) => S): void {
    this.#next = change(this.#next);
    this.#show();
  }

  listen(listener: () => void): () => void {
    clearTimeout(this.#linger);
    if (!this.#listeners.size) this.snapshot = this.#next; // React looks after it has subscribed
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size) return;
      forget(this.#show);
      this.#linger = setTimeout(this.#end, LINGER_MS);
    };
  }

  readonly #show = (): void => {
    if (Object.is(this.#next, this.snapshot)) return;
    this.snapshot = this.#next;
    for (const listener of [...this.#listeners]) listener();
  };

  readonly #end = (): void => {
    this.#close();
    this.#dispose();
  };
}

const byClient = new WeakMap<object, Map<string, SharedStore<unknown>>>();

/** The store of a key, if a component has it open. */
export function find<S>(client: object, key: string): SharedStore<S> | undefined {
  return byClient.get(client)?.get(key) as SharedStore<S> | undefined;
}

/** The store of a key, opened where it is not. Never called while rendering, which must leave nothing behind. */
export function open<S>(client: Client<Events>, key: string, source: Source<S>): SharedStore<S> {
  let stores = byClient.get(client);
  if (!stores) byClient.set(client, (stores = new Map()));
  let store = stores.get(key) as SharedStore<S> | undefined;
  if (!store) {
    store = new SharedStore<S>(client, source, () => stores.delete(key));
    stores.set(key, store as SharedStore<unknown>);
  }
  return store;
}
