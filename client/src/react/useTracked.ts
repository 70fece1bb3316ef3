import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import type { Readable } from './useSelected.js';

/**
 * Reads a store's state through getters: the component renders when a property that it has read changes,
 * and for no other.
 */
export function useTracked<S extends object, A extends object>(store: Readable<S>, actions: A): Readonly<S> & A {
  const used = useRef(new Set<keyof S>());
  const shown = useRef<S | null>(null);
  const state = useSyncExternalStore(
    store.listen,
    () => {
      const next = store.get();
      const before = shown.current;
      return before && [...used.current].every((k) => Object.is(before[k], next[k])) ? before : next;
    },
    () => store.initial,
  );
  useEffect(() => {
    shown.current = state;
  }, [state]);
  return useMemo(() => {
    const view = { ...actions };
    for (const key of Object.keys(store.initial) as (keyof S)[]) {
      Object.defineProperty(view, key, {
        enumerable: true,
        get: () => {
          used.current.add(key);
          return state[key];
        },
      });
    }
    return view as S & A;
  }, [state, actions, store]);
}
