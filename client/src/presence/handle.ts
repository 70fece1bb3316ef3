import type { Core } from '../core.js';
import type { Members, PresenceHandle } from '../types/index.js';

const NOBODY: Members = { known: false, count: 0, sessions: 0, members: [], stale: true, error: undefined };

/** How long until it is tried again to load what presence takes. */
const RELOAD_MS = 5_000;

/** A handle on presence in a channel. It works in the order of its calls, from before presence is loaded. */
export function presenceHandle<S>(core: Core, channel: string): PresenceHandle<S> {
  const me = {};
  const enter = (status?: S | null) => core.presence().then((p) => p.stays.enter(channel, me, status));
  return {
    channel,
    enter,
    update: enter,
    leave: () => core.loaded()?.then((p) => p.stays.leave(channel, me)) ?? Promise.resolve(),
    getMembers: () => (core.members(channel) ?? NOBODY) as Members<S>,
    onMembers(listener) {
      let undo: (() => void) | undefined;
      let done = false;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const load = () => {
        core.presence().then(
          (p) => {
            if (!done) undo = p.follow(channel, listener);
          },
          (error) => {
            core.report(error);
            if (!done) timer = setTimeout(load, RELOAD_MS);
          },
        );
      };
      load();
      return () => {
        done = true;
        clearTimeout(timer);
        undo?.();
        undo = undefined;
      };
    },
  };
}
