import type { ChannelEvent, EventMap } from '@tallywire/client';
import { isEvent } from '@tallywire/client';

type Created = EventMap['match.created'];
export type MatchStatus = Created['status'];

/** What happened to a match, for its history. */
export interface Step {
  readonly cursor: string;
  readonly time: string;
  readonly what: string;
  readonly who: string;
  readonly person: boolean;
  readonly note: string | undefined;
}

/** A match as its events have made it. Never changed: another event makes another one. */
export interface Match {
  readonly id: string;
  /** The event's subject, which presence refers to. */
  readonly subject: string;
  readonly data: Created;
  readonly steps: readonly Step[];
  /** Grows with every change in the table. */
  readonly touched: number;
  /** When the change arrived here; 0 for what was there before the page looked. */
  readonly litAt: number;
  /** A person has decided. */
  readonly byPerson: boolean;
}

export const STATUS: Record<MatchStatus, string> = {
  confirmed: 'Confirmed',
  proposed: 'Proposed',
  rejected: 'Rejected',
  disputed: 'Disputed',
};

function stepOf(event: ChannelEvent, data: Partial<EventMap['match.updated']>): Step {
  const { author, note, status, previous_status: before } = data;
  const moved = status !== undefined && before !== undefined && status !== before;
  return {
    cursor: event.cursor,
    time: event.time,
    what: event.type === 'match.created' ? 'Found' : moved ? `${STATUS[before]} → ${STATUS[status]}` : 'Changed',
    who: author?.name ?? (author?.kind === 'rule' ? `rule ${author.id}` : (author?.id ?? 'unknown')),
    person: author?.kind === 'user',
    note,
  };
}

/** A match after an event; null where the event takes it away, undefined where it says nothing. */
export function after(before: Match | undefined, event: ChannelEvent, touched: number, litAt: number): Match | null | undefined {
  if (isEvent(event, 'match.deleted')) return null;
  let data: Created;
  if (isEvent(event, 'match.created')) ({ data } = event);
  else if (isEvent(event, 'match.updated') && before) data = { ...before.data, ...event.data };
  else return undefined; // an update of one that is no longer retained
  const step = stepOf(event, data);
  const steps = event.type === 'match.created' ? [step] : [...(before?.steps ?? []), step];
  return {
    id: data.match_id,
    subject: event.subject ?? `match/${data.match_id}`,
    data,
    steps,
    touched,
    litAt,
    byPerson: step.person || (before?.byPerson ?? false),
  };
}
