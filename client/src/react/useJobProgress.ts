import { useMemo } from 'react';
import { isEvent } from '../guard.js';
import type { EventMap } from '../events/index.js';
import type { ChannelEvent } from '../types/index.js';
import type { Source } from './shared.js';
import { fromKey } from './subscribing.js';
import type { FromOption, SelectOptions, SkipOption } from './types.js';
import { useShared } from './useShared.js';

/** What a job's events add up to. An immutable snapshot. */
export interface JobProgress {
  /** `unknown` until an event has come; `retrying`: it failed, and another attempt follows at `retryAt`. */
  readonly state: 'unknown' | 'running' | 'retrying' | 'completed' | 'failed';
  /** It should be running, and nothing has been heard of it for a while although the connection is well. */
  readonly stalled: boolean;
  readonly name: string | undefined;
  readonly attempt: number;
  /** Part of the job at work, as its worker calls it. */
  readonly phase: string | undefined;
  /** 0 to 100. */
  readonly percent: number | undefined;
  readonly processed: number | undefined;
  readonly total: number | undefined;
  readonly matched: number | undefined;
  readonly unmatched: number | undefined;
  /** Records a second. */
  readonly rate: number | undefined;
  readonly etaMs: number | undefined;
  readonly elapsedMs: number | undefined;
  readonly message: string | undefined;
  readonly error: EventMap['job.failed']['error'] | undefined;
  /** RFC 3339. */
  readonly retryAt: string | undefined;
  /** The event that said so last. */
  readonly last: ChannelEvent | undefined;
}

export interface JobProgressOptions<T> extends SkipOption, FromOption, SelectOptions<JobProgress, T> {
  /** The channel, where it is not `jobs:<jobId>`. */
  channel?: string | undefined;
  /** Silence after which a running job is called stalled, in milliseconds (default 10,000). */
  stalledAfterMs?: number | undefined;
}

/**
 * How far a job is. All that the channel retains is read (`from: '0'`), so that a job is known that began before; components that
 * ask for the same job share what is known.
 */
export function useJobProgress<T = JobProgress>(jobId: string, options: JobProgressOptions<T> = {}): T {
  const { channel = `jobs:${jobId}`, stalledAfterMs = 10_000, from = '0', skip } = options;
  const key = skip ? null : ['job', channel, jobId, stalledAfterMs, fromKey({ from })].join('\n');
  const source = useMemo(
    () => jobSource(channel, jobId, from, stalledAfterMs),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the key holds everything
    [key],
  );
  return useShared(key, source, options)[0];
}

function jobSource(channel: string, jobId: string, from: NonNullable<FromOption['from']>, stalledAfterMs: number): Source<JobProgress> {
  return {
    initial: UNKNOWN,
    open(client, set) {
      // One timer for the whole time: events come too often to move it for each.
      let heard = Date.now();
      const look = setInterval(() => {
        const { status } = client.getStatus();
        if (status !== 'live') heard = Date.now(); // it is the connection that says nothing
        const silent = Date.now() - heard >= stalledAfterMs;
        set((job) => (job.state !== 'running' || job.stalled === silent ? job : { ...job, stalled: silent }));
      }, stalledAfterMs / 4);
      const subscription = client.subscribe(
        channel,
        (event) => {
          heard = Date.now();
          set((job) => step(job, event, jobId));
        },
        { from, onReset: ({ reason }) => reason !== 'trimmed' && set(() => UNKNOWN) },
      );
      return () => {
        clearInterval(look);
        subscription.close();
      };
    },
  };
}

const UNKNOWN: JobProgress = Object.freeze({
  state: 'unknown',
  stalled: false,
  name: undefined,
  attempt: 1,
  phase: undefined,
  percent: undefined,
  processed: undefined,
  total: undefined,
  matched: undefined,
  unmatched: undefined,
  rate: undefined,
  etaMs: undefined,
  elapsedMs: undefined,
  message: undefined,
  error: undefined,
  retryAt: undefined,
  last: undefined,
});

/** A job after one more event. */
function step(job: JobProgress, event: ChannelEvent, jobId: string): JobProgress {
  const known = { ...job, stalled: false, last: event };
  const over = { rate: undefined, etaMs: undefined, message: undefined };
  if (isEvent(event, 'job.started')) {
    const { data: d } = event;
    if (d.job_id !== jobId) return job;
    return { ...UNKNOWN, state: 'running', last: event, name: d.name ?? job.name, attempt: d.attempt ?? 1, total: d.total };
  }
  if (isEvent(event, 'job.progress')) {
    const { data: d } = event;
    if (d.job_id !== jobId) return job;
    const total = d.total ?? job.total;
    return {
      ...known,
      state: 'running',
      attempt: d.attempt ?? job.attempt,
      phase: d.phase ?? job.phase,
      processed: d.processed,
      total,
      percent: d.percent ?? (total ? Math.min(100, (100 * (d.processed ?? 0)) / total) : undefined),
      matched: d.matched ?? job.matched,
      unmatched: d.unmatched ?? job.unmatched,
      rate: d.rate,
      etaMs: d.eta_ms,
      elapsedMs: d.elapsed_ms,
      message: d.message,
      error: undefined,
      retryAt: undefined,
    };
  }
  if (isEvent(event, 'job.completed')) {
    const { data: d } = event;
    if (d.job_id !== jobId) return job;
    const counts = { processed: d.processed ?? job.processed, matched: d.matched ?? job.matched, unmatched: d.unmatched ?? job.unmatched };
    return { ...known, ...over, ...counts, state: 'completed', percent: 100, elapsedMs: d.duration_ms ?? job.elapsedMs, error: undefined };
  }
  if (isEvent(event, 'job.failed')) {
    const { data: d } = event;
    if (d.job_id !== jobId) return job;
    const state = d.will_retry ? 'retrying' : 'failed';
    return { ...known, ...over, state, error: d.error, retryAt: d.retry_at, elapsedMs: d.duration_ms ?? job.elapsedMs };
  }
  return job;
}
