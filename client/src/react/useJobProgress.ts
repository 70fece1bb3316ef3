import { useMemo } from 'react';
import type { EventMap } from '../events/index.js';
import type { ChannelEvent } from '../types/index.js';
import type { FromOption, SelectOptions, SkipOption } from './types.js';
import { useShared, type Source } from './useShared.js';

/** What a job's events add up to. An immutable snapshot. */
export interface JobProgress {
  /** `unknown` until an event has come; `retrying`: it failed, and another attempt follows. */
  readonly state: 'unknown' | 'running' | 'retrying' | 'completed' | 'failed';
  /** It should be running, and nothing has been heard of it for a while although the connection is well. */
  readonly stalled: boolean;
  /** 0 to 100. */
  readonly percent?: number | undefined;
  /** Counted from 1. */
  readonly attempt: number;
  /** What the last event of each type said, of the last attempt. */
  readonly started?: EventMap['job.started'] | undefined;
  readonly progress?: EventMap['job.progress'] | undefined;
  readonly completed?: EventMap['job.completed'] | undefined;
  readonly failed?: EventMap['job.failed'] | undefined;
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
  const key = skip ? null : JSON.stringify(['job', channel, jobId, stalledAfterMs, from]);
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
    feed(client, set) {
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

const UNKNOWN: JobProgress = { state: 'unknown', stalled: false, attempt: 1 };

/** The events of a job by their types' last word. Whoever published them has checked their data. */
type Told = { [K in 'started' | 'progress' | 'completed' | 'failed']: EventMap[`job.${K}`] };

/** A job after one more event. */
function step(before: JobProgress, { type, data }: ChannelEvent, jobId: string): JobProgress {
  const kind = /^job\.(started|progress|completed|failed)$/.exec(type)?.[1] as keyof Told | undefined;
  const said = data as EventMap['job.progress'] | null;
  if (!kind || said?.job_id !== jobId) return before;
  const base = kind === 'started' ? UNKNOWN : before;
  const job: JobProgress = { ...base, stalled: false, attempt: said.attempt ?? base.attempt, [kind]: data };
  if (kind === 'failed') return { ...job, state: job.failed?.will_retry ? 'retrying' : 'failed' };
  if (kind === 'completed') return { ...job, state: kind, percent: 100, failed: undefined };
  const total = said.total ?? job.started?.total;
  const percent = said.percent ?? (total && Math.min(100, (100 * (said.processed ?? 0)) / total));
  return { ...job, state: 'running', percent, failed: undefined, completed: undefined };
}
