import type { ReactNode } from 'react';
import { jobOf } from '../jobs/useJobs';

export interface Leads {
  /** The jobs that can be chosen. */
  readonly jobs: readonly string[];
  choose(job: string): void;
}

/** What a notification says first. Where it is about a job that is listed, it leads there. */
export function Title({ text, subject, jobs, choose }: Leads & { text: string; subject: string | undefined }): ReactNode {
  const job = jobOf(subject);
  if (job === undefined || !jobs.includes(job)) return text;
  return (
    <button type="button" className="title-link" title={`Show ${job}`} onClick={() => choose(job)}>
      {text}
    </button>
  );
}
