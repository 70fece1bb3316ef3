import { useMemo } from 'react';
import type { Members, PresenceStatus } from '../types/index.js';
import type { SelectOptions, SkipOption } from './types.js';
import { useShared, type Source } from './useShared.js';

const UNKNOWN: Members<never> = {
  known: false,
  count: 0,
  sessions: 0,
  members: [],
  stale: false,
  error: undefined,
};

/** Who is in a channel, without being there. `S` is what they say of themselves; nothing checks it. */
export function useMembers<S = PresenceStatus, T = Members<S>>(
  channel: string,
  options: SkipOption & SelectOptions<Members<S>, T> = {},
): T {
  const source = useMemo<Source<Members<S>>>(
    () => ({
      initial: UNKNOWN,
      feed(client, set) {
        const handle = client.presence<S>(channel);
        const take = (): void => set(() => handle.getMembers());
        const undo = handle.onMembers(take);
        take();
        return undo;
      },
    }),
    [channel],
  );
  return useShared(options.skip ? null : `members\n${channel}`, source, options)[0];
}
