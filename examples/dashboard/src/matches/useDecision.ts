import { TallywireError } from '@tallywire/client';
import { useChannel, useConnectionStatus } from '@tallywire/client/react';
import { useEffect, useRef, useState } from 'react';
import type { Match, MatchStatus } from './match';

export interface Decision {
  decide(status: MatchStatus): void;
  /** `waiting`: there is no connection; it is sent when there is one. */
  readonly pending: 'sending' | 'waiting' | null;
  readonly failed: string | null;
}

/** Decides on a match: publishes the change, and takes it for done when it comes back as an event, to everybody at once. */
export function useDecision(match: Match, channel: string): Decision {
  const { publish } = useChannel(channel, { skip: true });
  const { user, up } = useConnectionStatus({
    select: (s) => ({ user: s.user, up: s.status === 'live' || s.status === 'degraded' }),
    equal: (a, b) => a.user === b.user && a.up === b.up,
  });
  const [sent, setSent] = useState(false);
  const [failed, setFailed] = useState<string | null>(null);
  const here = useRef(true);
  useEffect(() => {
    here.current = true;
    return () => {
      here.current = false;
    };
  }, []);

  const decide = (status: MatchStatus): void => {
    const { match_id, revision = 0, left_ids, right_ids, status: previous_status, job_id } = match.data;
    const id = user ?? 'unknown';
    setSent(true);
    setFailed(null);
    publish({
      type: 'match.updated',
      subject: match.subject,
      data: {
        match_id,
        revision: revision + 1,
        left_ids,
        right_ids,
        changed: ['status', 'author'],
        previous_status,
        status,
        author: { kind: 'user', id, name: id },
        updated_at: new Date().toISOString(),
        ...(job_id !== undefined && { job_id }),
      },
    })
      .catch((e: unknown) => here.current && setFailed(e instanceof TallywireError ? e.message : String(e)))
      .finally(() => here.current && setSent(false));
  };
  return { decide, pending: sent ? (up ? 'sending' : 'waiting') : null, failed };
}
