import { useMemo } from 'react';
import { useClient } from './context.js';
import { find, open, type SharedStore, type Source } from './shared.js';
import type { SelectOptions } from './types.js';
import { useNewest } from './useNewest.js';
import { useSelected } from './useSelected.js';

const nothing = (): void => {};

/**
 * Reads the shared store of a key, or nothing where the key is null. Two sources of one key must do the same. The second result
 * returns the store while it is open.
 */
export function useShared<S, T>(
  key: string | null,
  source: Source<S>,
  options: SelectOptions<S, T>,
): [value: T, store: () => SharedStore<S> | undefined] {
  const client = useClient();
  const newest = useNewest(source);
  const { initial } = source;
  const store = useMemo(() => {
    const opened = (): SharedStore<S> | undefined => (key === null ? undefined : find<S>(client, key));
    return {
      initial,
      opened,
      listen: (listener: () => void) => (key === null ? nothing : open(client, key, newest.current).listen(listener)),
      get: (): S => {
        const it = opened();
        return it ? it.snapshot : initial;
      },
    };
  }, [client, key, initial, newest]);
  return [useSelected(store, options), store.opened];
}
