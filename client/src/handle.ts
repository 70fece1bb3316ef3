import type { Core } from './core.js';
import type { Members, PresenceHandle } from './types/index.js';

/** A handle on presence in a channel. */
export function presenceHandle<S>(core: Core, channel: string): PresenceHandle<S> {
  const me = {};
  return {
    channel,
    enter(status) {
      core.start();
      return core.stays.enter(channel, me, status);
    },
    update(status) {
      core.start();
      return core.stays.enter(channel, me, status);
    },
    leave: () => core.stays.leave(channel, me),
    getMembers: () => core.members(channel) as Members<S>,
    onMembers(listener) {
      core.start();
      const r = core.roster(channel);
      const unlisten = r.changed.add(listener);
      const unwatch = core.subs.watch(channel);
      let done = false;
      return () => {
        if (done) return;
        done = true;
        unlisten();
        unwatch();
      };
    },
  };
}
