import type { Core } from '../core.js';
import type { Members, PresenceHandle } from '../types/index.js';

/** What is known before anything is. */
export const NOBODY: Members<never> = { known: false, count: 0, sessions: 0, members: [], stale: true, error: undefined };

/** A handle on presence in a channel. It works in the order of its calls, also before it is loaded. */
export function presenceHandle<S>(core: Core, channel: string): PresenceHandle<S> {
  const me = {};
  // All take one turn, so that they are done in the order of the calls.
  const enter = (status?: S | null) => {
    core.start();
    return core.more().then((m) => m.presence.stays.enter(channel, me, status));
  };
  return {
    channel,
    enter,
    update: enter,
    leave: () => core.more().then((m) => m.presence.stays.leave(channel, me)),
    getMembers: () => (core.loaded()?.presence.members(channel) ?? NOBODY) as Members<S>,
    onMembers(listener) {
      let undo: (() => void) | undefined;
      let done = false;
      core.start();
      void core.more().then(
        (m) => {
          if (!done) undo = m.presence.follow(channel, listener);
        },
        () => {}, // closed
      );
      return () => {
        done = true;
        undo?.();
        undo = undefined;
      };
    },
  };
}
