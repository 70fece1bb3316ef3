import { useConnectionStatus, useJobProgress, type JobProgress } from '@tallywire/client/react';
import { memo, useEffect, useState, type ReactNode } from 'react';
import { duration, integer, percent, plural } from '../ui/format';
import { useNow } from '../ui/useNow';

type Kind = 'running' | 'stalled' | 'paused' | 'retrying' | 'completed' | 'failed' | 'stopped' | 'unknown';

const PHASE: Readonly<Record<string, string>> = { load: 'Reading', match: 'Matching' };

function kindOf(job: JobProgress, connected: boolean): Kind {
  if (job.state === 'failed' && job.failed?.error.code === 'cancelled') return 'stopped'; // as somebody wanted
  if (job.state !== 'running') return job.state;
  if (!connected) return 'paused';
  return job.stalled ? 'stalled' : 'running';
}

function labelOf(kind: Kind, job: JobProgress): string {
  const phase = job.progress?.phase;
  switch (kind) {
    case 'running':
      return PHASE[phase ?? ''] ?? phase ?? 'Starting';
    case 'stalled':
      return 'Stalled';
    case 'paused':
      return 'Last known';
    case 'retrying':
      return 'Trying again';
    case 'completed':
      return 'Completed';
    case 'failed':
      return 'Failed';
    case 'stopped':
      return 'Stopped';
    default:
      return 'Waiting';
  }
}

function factsOf(kind: Kind, job: JobProgress): string[] {
  const { progress: p, completed } = job;
  const facts: string[] = [];
  const total = p?.total ?? job.started?.total;
  if (kind === 'completed') {
    if (completed?.match_rate !== undefined) facts.push(`${percent(completed.match_rate)} matched`);
    if (completed?.duration_ms !== undefined) facts.push(`in ${duration(completed.duration_ms)}`);
    if (completed?.exceptions) facts.push(plural(completed.exceptions, 'exception'));
    return facts;
  }
  if (total !== undefined) facts.push(`${integer(p?.processed ?? 0)} of ${integer(total)}`);
  if (kind !== 'running') return facts;
  if (p?.rate) facts.push(`${integer(p.rate)}/s`);
  if (p?.eta_ms !== undefined) facts.push(`${duration(p.eta_ms)} left`);
  return facts;
}

interface Props {
  id: string;
  chosen: boolean;
  choose(job: string): void;
}

/** How long a job may keep its name to itself before its id is shown in its place. */
const NAMELESS_MS = 3_000;

/** What to call a job; null while that is likely to come: the first event of a job names it. */
function useName(id: string, job: JobProgress): string | null {
  const [late, setLate] = useState(false);
  const nameless = job.started === undefined && job.state === 'unknown';
  useEffect(() => {
    if (!nameless) return;
    const timer = setTimeout(() => setLate(true), NAMELESS_MS);
    return () => clearTimeout(timer);
  }, [nameless]);
  return job.started?.name ?? (nameless && !late ? null : id);
}

/** One job. It renders for what that job says, and for nothing else. */
export const JobCard = memo(function JobCard({ id, chosen, choose }: Props): ReactNode {
  const job = useJobProgress(id, { stalledAfterMs: 5_000 });
  const connected = useConnectionStatus({ select: (s) => s.status === 'live' || s.status === 'degraded' });
  const kind = kindOf(job, connected);
  const name = useName(id, job);
  const facts = factsOf(kind, job);
  const done = job.percent ?? 0;
  return (
    <li>
      <button type="button" className="job" data-kind={kind} data-job={id} aria-pressed={chosen} onClick={() => choose(id)}>
        {name === null ? (
          <span className="job-name skeleton" />
        ) : (
          <span className="job-name" title={name}>
            {name}
          </span>
        )}
        <span className="job-head">
          <span className="job-id">
            {id}
            {job.attempt > 1 && <span> · attempt {job.attempt}</span>}
          </span>
          <span className="chip" data-kind={kind}>
            {labelOf(kind, job)}
          </span>
        </span>
        <span className="meter">
          <span className="track" role="progressbar" aria-label={`Progress of ${name ?? id}`} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(done)}>
            <span className="fill" style={{ transform: `scaleX(${done / 100})` }} />
          </span>
          <span className="percent">{kind === 'unknown' ? '–' : percent(done, done < 100 ? 1 : 0)}</span>
        </span>
        <span className="facts" title={facts.join(' · ')}>
          {facts.map((fact) => (
            <span key={fact}>{fact}</span>
          ))}
        </span>
        <Note kind={kind} job={job} />
      </button>
    </li>
  );
});

function Note({ kind, job }: { kind: Kind; job: JobProgress }): ReactNode {
  if (kind === 'stalled') return <span className="note warn">Nothing heard of it for a while. {job.progress?.message}</span>;
  if (kind === 'stopped') return <span className="note">{job.failed?.error.message}</span>;
  if (kind === 'failed') return <span className="note bad">{job.failed?.error.message}</span>;
  if (kind !== 'retrying') return null;
  return (
    <span className="note bad">
      {job.failed?.error.message} <RetryIn at={job.failed?.retry_at} />
    </span>
  );
}

function RetryIn({ at }: { at: string | undefined }): ReactNode {
  const now = useNow();
  const left = at === undefined ? 0 : Date.parse(at) - now;
  return <b>{left > 500 ? `Next attempt in ${duration(left)}.` : 'Next attempt soon.'}</b>;
}
