import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import type { Readable } from './store.js';
import type { SelectOptions } from './types.js';

/** What selects all. */
export const same = (state: unknown): unknown => state;

/** Reads a selection of a store. The component renders when the selection has changed; `store` must be the same object until it is another store. */
export function useSelected<S, T>(store: Readable<S>, options: SelectOptions<S, T>): T {
  const { select = same as (state: S) => T, equal = Object.is } = options;
  const shown = useRef<{ value: T } | null>(null);
  const read = useMemo(() => {
    let last: { state: S; value: T } | undefined;
    return (state: S): T => {
      if (last && Object.is(last.state, state)) return last.value;
      let value = select(state);
      // Also across selectors written inline, which are others in every render.
      const before = last ?? shown.current;
      if (before && equal(before.value, value)) value = before.value;
      last = { state, value };
      return value;
    };
  }, [select, equal]);
  const value = useSyncExternalStore(
    store.listen,
    () => read(store.get()),
    () => read(store.initial),
  );
  useEffect(() => {
    shown.current = { value };
  }, [value]);
  return value;
}
