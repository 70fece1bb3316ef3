import { useMemo } from 'react';
import type { Client } from '../types/index.js';
import { useClient } from './context.js';
import type { Events } from './register.js';
import { frameStore, type FrameStore } from './store.js';
import type { SelectOptions } from './types.js';
import { useNewest } from './useNewest.js';
import { useSelected } from './useSelected.js';

/** How long a store without components is kept. */
const LINGER_MS = 1_000;

/** What a shared store holds, and what feeds it. */
export interface Source<S> {
  /** The same object each time. */
  readonly initial: S;
  feed(client: Client<Events>, set: FrameStore<S>['set']): () => void;
}

const byClient = new WeakMap<object, Map<string, unknown>>();

/**
 * Reads the store that all components with the same client and key share, or nothing where the key is null. Two sources of one key
 * must do the same. The second result changes the store while it is open.
 */
export function useShared<S, T>(
  key: string | null,
  source: Source<S>,
  options: SelectOptions<S, T>,
): [value: T, change: (change: (state: S) => S) => void] {
  const client = useClient();
  const newest = useNewest(source);
  const { initial } = source;
  const store = useMemo(() => {
    // Only `listen`, which React calls once a component is there, leaves something behind.
    const find = (): FrameStore<S> | undefined => byClient.get(client)?.get(key ?? '') as FrameStore<S> | undefined;
    const open = (name: string): FrameStore<S> => {
      const stores = byClient.get(client) ?? new Map<string, unknown>();
      byClient.set(client, stores);
      const made = frameStore<S>(initial, (set) => newest.current.feed(client, set), LINGER_MS, () => stores.delete(name));
      stores.set(name, made);
      return made;
    };
    return {
      initial,
      listen: (listener: () => void) => (key === null ? () => {} : (find() ?? open(key)).listen(listener)),
      get: (): S => {
        const store = find();
        return store ? store.get() : initial;
      },
      change: (change: (state: S) => S) => find()?.set(change, true),
    };
  }, [client, key, initial, newest]);
  return [useSelected(store, options), store.change];
}
