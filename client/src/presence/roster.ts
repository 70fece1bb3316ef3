import { refusal, type TallywireError } from '../error.js';
import type { ClientFrame, ServerFrame } from '../frame.js';
import type { Listeners } from '../store.js';
import { listeners } from '../store.js';
import type { Member, Members } from '../types/index.js';

/** As many members are kept; a channel with more is told by its count. */
const MAX_MEMBERS = 1_000;

/** The members of one channel as far as they are known. */
export interface Roster {
  snapshot(): Members;
  readonly changed: Listeners;
  /** Takes `members`, `member`, or an error about them. */
  frame(f: ServerFrame): void;
  /** Takes the answer to a request for a further page; false where it is none. */
  page(f: ServerFrame): boolean;
  /** Whether a connection follows the members. */
  follow(live: boolean): void;
}

export interface RosterNeeds {
  id(): number;
  send(frame: ClientFrame): void;
  report(error: unknown): void;
}

export function roster(channel: string, n: RosterNeeds): Roster {
  const changed = listeners(n.report);
  const users = new Map<string, Member>();
  // Changes since the snapshot: a page counts for a member only where it is newer.
  const touched = new Map<string, number>();
  let version = 0;
  let chained = false; // changes follow on `version`
  let known = false;
  let stale = false;
  let live = false;
  let count = 0;
  let sessions = 0;
  let error: TallywireError | undefined;
  let pageId: number | undefined;
  let shown: Members | undefined;

  function touch(): void {
    shown = undefined;
    changed.call();
  }

  function more(after: string | undefined): void {
    pageId = undefined;
    if (after === undefined || users.size >= MAX_MEMBERS) return;
    pageId = n.id();
    n.send({ type: 'members', id: pageId, channel, after, limit: MAX_MEMBERS });
  }

  function replace(f: ServerFrame): void {
    users.clear();
    touched.clear();
    for (const m of f.members ?? []) users.set(m.user, m);
    version = f.version ?? 0;
    count = f.count ?? users.size;
    sessions = f.sessions ?? users.size;
    stale = f.stale_since_ms !== undefined;
    chained = !stale;
    known = true;
    error = undefined;
    more(f.next);
    touch();
  }

  function change(f: ServerFrame, m: Member): void {
    const v = f.version ?? 0;
    if (!chained || v <= version) return; // a snapshot is on its way, or has it already
    if (f.prev !== version) {
      chained = false;
      n.send({ type: 'members', channel });
      return;
    }
    version = v;
    if (f.action === 'join') count++;
    if (f.action === 'leave') count--;
    sessions += m.sessions - (users.get(m.user)?.sessions ?? (f.action === 'join' ? 0 : m.sessions));
    touched.set(m.user, v);
    if (f.action === 'leave') users.delete(m.user);
    else users.set(m.user, m);
    touch();
  }

  return {
    changed,
    snapshot() {
      shown ??= {
        known,
        count,
        sessions,
        members: [...users.values()].sort((a, b) => (a.user < b.user ? -1 : 1)),
        stale: stale || !live,
        error,
      };
      return shown;
    },
    frame(f) {
      if (f.type === 'member') {
        if (f.member) change(f, f.member);
      } else if (f.type === 'members') replace(f);
      else {
        error = refusal(f);
        touch();
      }
    },
    page(f) {
      if (pageId === undefined || f.id !== pageId) return false;
      for (const m of f.members ?? []) if ((touched.get(m.user) ?? 0) < (f.version ?? 0)) users.set(m.user, m);
      more(f.next);
      touch();
      return true;
    },
    follow(now) {
      if (live === now) return;
      live = now;
      touch();
    },
  };
}
