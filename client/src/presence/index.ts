import type { Channel } from '../channel.js';
import type { Conn } from '../conn.js';
import type { ClientFrame, ServerFrame } from '../frame.js';
import type { Subscriptions } from '../subscriptions.js';
import type { ConnectionStatus, Members } from '../types/index.js';
import type { Roster } from './roster.js';
import { roster } from './roster.js';
import type { Stays } from './stays.js';
import { stays } from './stays.js';

/** Presence and members: a part of the client that is loaded when it is first used. */
export interface Presence {
  readonly stays: Stays;
  /** The members of a channel as far as they are known. */
  members(channel: string): Members | undefined;
  /** Follows the members of a channel; returns its undo. */
  follow(channel: string, listener: () => void): () => void;
  /** Takes an answer; false where the frame is none. */
  answer(f: ServerFrame): boolean;
  /** Takes a channel's frame about members. */
  frame(f: ServerFrame): void;
  /** A channel has got, or lost, its connection. */
  changed(ch: Channel): void;
  /** A channel is not followed any more. */
  dropped(channel: string): void;
}

/** What presence needs to know of the rest. */
export interface PresenceNeeds {
  current(): Conn | null;
  getStatus(): ConnectionStatus;
  id(): number;
  backoff(failures: number): number;
  readonly subs: Subscriptions;
  thrown(cause: unknown): void;
}

export function presence(n: PresenceNeeds): Presence {
  const rosters = new Map<string, Roster>();
  const all = stays({ ...n, left: n.subs.release });

  function rosterOf(channel: string): Roster {
    let r = rosters.get(channel);
    if (!r) {
      r = roster(channel, { id: () => n.id(), report: n.thrown, send: (f: ClientFrame) => n.current()?.link.send([f]) });
      r.follow(!!n.subs.channels.get(channel)?.owner);
      rosters.set(channel, r);
    }
    return r;
  }

  return {
    stays: all,
    members: (channel) => rosters.get(channel)?.snapshot(),
    follow(channel, listener) {
      const unlisten = rosterOf(channel).changed.add(listener);
      const unwatch = n.subs.watch(channel);
      return () => {
        unlisten();
        unwatch();
      };
    },
    answer: (f) => all.answer(f) || [...rosters.values()].some((r) => r.page(f)),
    frame(f) {
      if (f.type === 'error' && f.code === 'forbidden') all.refused(f);
      const here = shows(f, n.getStatus().user);
      if (here !== undefined) all.seen(f.channel ?? '', here);
      rosters.get(f.channel ?? '')?.frame(f);
    },
    changed: (ch) => rosters.get(ch.name)?.follow(ch.owner !== null),
    dropped: (channel) => void rosters.delete(channel),
  };
}

/** Whether a frame shows a user as there and connected; undefined where it does not say. */
function shows(f: ServerFrame, user: string | null): boolean | undefined {
  if (user === null || f.stale_since_ms !== undefined) return undefined;
  if (f.type === 'member') return f.member?.user === user ? f.action !== 'leave' && f.member.state === 'live' : undefined;
  const m = f.members?.find((x) => x.user === user);
  if (m) return m.state === 'live';
  // A page that ends before it does not say.
  return f.type === 'members' && (f.next === undefined || user <= f.next) ? false : undefined;
}
