import type { MembersPage, MemberState } from './frames.js';

/** A change of a channel's members, which applies to version `prev`. */
export interface MemberChange {
  readonly channel: string;
  readonly version: number;
  readonly prev: number;
  readonly action: 'join' | 'update' | 'leave';
  readonly member: MemberState;
}

/** What a session says about its presence. `claim` is its connection: the newest one holds the session. */
export interface Entry {
  readonly channel: string;
  readonly user: string;
  readonly name: string | undefined;
  readonly session: string;
  readonly claim: object;
  /** `undefined` keeps the status, `null` takes it away. */
  readonly status: unknown;
}

interface Stay {
  claim: object;
  live: boolean;
  timer: ReturnType<typeof setTimeout> | undefined;
}

interface Person {
  name: string | undefined;
  since: string;
  status: unknown;
  sessions: Map<string, Stay>;
}

interface Room {
  version: number;
  people: Map<string, Person>;
}

/** Who is in which channel. */
export class Roster {
  #rooms = new Map<string, Room>();
  readonly #now: () => number;
  readonly #graceMs: number;
  readonly #changed: (change: MemberChange) => void;

  constructor(o: { now: () => number; graceMs: number; changed: (change: MemberChange) => void }) {
    this.#now = o.now;
    this.#graceMs = o.graceMs;
    this.#changed = o.changed;
  }

  /** Makes a session present or changes its status. */
  enter(e: Entry): void {
    const room = this.#room(e.channel);
    const stay: Stay = { claim: e.claim, live: true, timer: undefined };
    const person = room.people.get(e.user);
    if (!person) {
      const since = new Date(this.#now()).toISOString();
      const sessions = new Map([[e.session, stay]]);
      room.people.set(e.user, { name: e.name, since, status: e.status ?? undefined, sessions });
      this.#tell(e.channel, room, 'join', e.user);
      return;
    }
    const before = JSON.stringify(describe(e.user, person));
    clearTimeout(person.sessions.get(e.session)?.timer);
    person.sessions.set(e.session, stay);
    person.name = e.name ?? person.name;
    if (e.status !== undefined) person.status = e.status ?? undefined;
    if (JSON.stringify(describe(e.user, person)) !== before) this.#tell(e.channel, room, 'update', e.user);
  }

  /** Ends a session's presence at once. Nothing happens where another connection holds it. */
  leave(channel: string, user: string, session: string, claim: object): void {
    const room = this.#rooms.get(channel);
    const person = room?.people.get(user);
    const stay = person?.sessions.get(session);
    if (!room || !person || stay?.claim !== claim) return;
    clearTimeout(stay.timer);
    person.sessions.delete(session);
    this.#tell(channel, room, person.sessions.size > 0 ? 'update' : 'leave', user);
  }

  /** Notes that a session's connection is gone; it leaves when the grace has passed. */
  vanish(channel: string, user: string, session: string, claim: object): void {
    const room = this.#rooms.get(channel);
    const stay = room?.people.get(user)?.sessions.get(session);
    if (!room || stay?.claim !== claim || !stay.live) return;
    stay.live = false;
    stay.timer = setTimeout(() => this.leave(channel, user, session, claim), this.#graceMs);
    this.#tell(channel, room, 'update', user);
  }

  /** Notes that the gateway is gone which held who is present in a channel, or one user of them. */
  abandon(channel: string, only: string | undefined): void {
    for (const [user, { sessions }] of this.#rooms.get(channel)?.people ?? []) {
      if (only !== undefined && user !== only) continue;
      for (const [session, { claim }] of sessions) this.vanish(channel, user, session, claim);
    }
  }

  /** The version of a channel's members. */
  version(channel: string): number {
    return this.#room(channel).version;
  }

  /** A page of a channel's members, ordered by user. */
  page(channel: string, after = '', limit = 100): MembersPage {
    const room = this.#room(channel);
    const people = [...room.people].sort(([a], [b]) => (a < b ? -1 : 1));
    const rest = people.filter(([user]) => user > after);
    const shown = rest.slice(0, limit);
    return {
      version: room.version,
      count: people.length,
      sessions: people.reduce((n, [, p]) => n + p.sessions.size, 0),
      members: shown.map(([user, p]) => describe(user, p)),
      next: rest.length > shown.length ? shown.at(-1)?.[0] : undefined,
    };
  }

  /** Forgets everybody, without telling. */
  clear(): void {
    for (const room of this.#rooms.values()) {
      for (const person of room.people.values()) for (const stay of person.sessions.values()) clearTimeout(stay.timer);
    }
    this.#rooms.clear();
  }

  #room(channel: string): Room {
    let room = this.#rooms.get(channel);
    if (!room) this.#rooms.set(channel, (room = { version: this.#now() * 1000, people: new Map() }));
    return room;
  }

  #tell(channel: string, room: Room, action: MemberChange['action'], user: string): void {
    const person = room.people.get(user);
    if (!person) return;
    const prev = room.version;
    room.version = Math.max(this.#now() * 1000, prev + 1);
    if (action === 'leave') room.people.delete(user);
    this.#changed({ channel, version: room.version, prev, action, member: describe(user, person) });
  }
}

function describe(user: string, p: Person): MemberState {
  return {
    user,
    ...(p.name === undefined ? {} : { name: p.name }),
    state: [...p.sessions.values()].some((s) => s.live) ? 'live' : 'grace',
    since: p.since,
    sessions: p.sessions.size,
    ...(p.status === undefined ? {} : { status: p.status }),
  };
}
