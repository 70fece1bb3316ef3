import type { Member } from '@tallywire/client';
import { shallow, useMembers, usePresence } from '@tallywire/client/react';
import { useMemo } from 'react';

/** What members say of themselves. */
export interface Looking {
  /** The subject of the match that somebody looks at. */
  viewing?: string | undefined;
}

export type Person = Member<Looking>;

export interface People {
  readonly all: readonly Person[];
  /** Who looks at which match, by subject. */
  readonly at: ReadonlyMap<string, readonly Person[]>;
  /** It is what was known when the connection, or the gateway's store, was lost. */
  readonly stale: boolean;
}

/** Shows that this tab looks at a job, and at one of its matches; and who else does. */
export function usePeople(job: string | null, viewing: string | null): People {
  const channel = `matches:${job ?? 'none'}`;
  const skip = job === null;
  usePresence<Looking>(channel, viewing === null ? {} : { viewing }, { skip });
  const { members, stale } = useMembers<Looking, { members: readonly Person[]; stale: boolean }>(channel, {
    skip,
    select: ({ members, stale }) => ({ members, stale }),
    equal: shallow,
  });
  return useMemo(() => {
    const at = new Map<string, Person[]>();
    for (const one of members) {
      const subject = one.status?.viewing;
      if (subject === undefined) continue;
      at.set(subject, [...(at.get(subject) ?? []), one]);
    }
    return { all: members, at, stale };
  }, [members, stale]);
}
