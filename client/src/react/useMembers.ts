import { useMemo } from 'react';
import { NOBODY } from '../presence/handle.js';
import type { Members, PresenceStatus } from '../types/index.js';
import { mirror } from './store.js';
import type { SelectOptions, SkipOption } from './types.js';
import { useShared, type Source } from './useShared.js';

const UNKNOWN: Members<never> = { ...NOBODY, stale: false };

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
        return mirror(set, handle.getMembers, handle.onMembers);
      },
    }),
    [channel],
  );
  return useShared(options.skip ? null : `members\n${channel}`, source, options)[0];
}
