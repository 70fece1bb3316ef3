import { useChannel } from '@tallywire/client/react';
import { useState } from 'react';
import { caughtUp } from '../ui/cursor';

const MOST = 6;
const JOB = /^job\/([A-Za-z0-9_.-]+)$/;

/** The job that an event is about. */
export const jobOf = (subject: string | undefined): string | undefined => JOB.exec(subject ?? '')?.[1];

export interface Jobs {
  /** The newest first. */
  readonly jobs: readonly string[];
  /** False until the gateway has said what there is. */
  readonly known: boolean;
  readonly refused: string | null;
}

/** The jobs that notifications have told of: each one announces itself there. */
export function useJobs(): Jobs {
  const [jobs, setJobs] = useState<readonly string[]>([]);
  const { phase, error, cursor, head } = useChannel('notifications:ops', {
    from: '0',
    on: {
      'notification.raised': ({ subject }) => {
        const id = jobOf(subject);
        if (id !== undefined) setJobs((now) => (now.includes(id) ? now : [id, ...now].slice(0, MOST)));
      },
    },
    // After a restart of a gateway that keeps everything in memory, the jobs are others.
    onReset: ({ reason }) => reason !== 'trimmed' && setJobs([]),
  });
  return { jobs, known: phase === 'live' && caughtUp(cursor, head), refused: phase === 'failed' ? (error?.message ?? 'refused') : null };
}
