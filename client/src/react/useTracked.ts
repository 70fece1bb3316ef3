import { useMemo, useState } from 'react';
import type { Readable } from './store.js';
import { useSelected } from './useSelected.js';

/**
 * Reads a store's state through getters: the component renders when a property that it has read changes,
 * and for no other.
 */
export function useTracked<S extends object, A extends object>(store: Readable<S>, actions: A): Readonly<S> & A {
  const [used] = useState(() => new Set<keyof S>());
  const [equal] = useState(() => (a: S, b: S) => [...used].every((k) => Object.is(a[k], b[k])));
  const state = useSelected<S, S>(store, { equal });
  return useMemo(() => {
    const view = { ...actions };
    for (const key of Object.keys(store.initial) as (keyof S)[]) {
      Object.defineProperty(view, key, { enumerable: true, get: () => (used.add(key), state[key]) });
    }
    return view as S & A;
  }, [state, actions, store, used]);
}
