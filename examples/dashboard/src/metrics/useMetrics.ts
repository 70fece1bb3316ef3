import type { EventMap } from '@tallywire/client';
import { useConnectionStatus, useEvent } from '@tallywire/client/react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { account } from '../connection/realtime';
import { useNow } from '../ui/useNow';
import { Series } from './series';

type Metric = EventMap['dashboard.metric'];
const SECONDS = 120;

export interface Metrics {
  readonly rate: number | undefined;
  readonly speed: number | undefined;
  readonly open: number | undefined;
  /** By currency. */
  readonly matched: readonly { readonly amount: string; readonly currency: string }[];
  /** Events that came to this page in the last second. */
  readonly events: number;
  readonly series: Readonly<Record<'rate' | 'speed' | 'open' | 'events', Series>>;
}

/** The figures of a job, sampled each second. A second without a connection is a hole in the line. */
export function useMetrics(job: string | null): Metrics {
  const latest = useRef(new Map<string, { metric: Metric; at: number }>());
  const up = useConnectionStatus({ select: (s) => s.status === 'live' || s.status === 'degraded' });
  const now = useNow();
  const [events, setEvents] = useState(0);
  const seen = useRef(account.events);
  const series = useMemo(
    () => ({ rate: new Series(SECONDS), speed: new Series(SECONDS), open: new Series(SECONDS), events: new Series(SECONDS) }),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- another job has other lines
    [job],
  );

  useEvent(
    'metrics:recon',
    'dashboard.metric',
    ({ data }) => latest.current.set([data.labels?.['job'], data.metric, data.labels?.['currency']].join(' '), { metric: data, at: Date.now() }),
    { from: '0', skip: job === null },
  );

  const find = (name: string): { metric: Metric; at: number } | undefined => latest.current.get(`${job} ${name} `);
  const rate = find('match_rate')?.metric.value;
  const open = find('open_lines')?.metric.value;
  const throughput = find('throughput');
  // A job that has ended has no speed, and says so by saying nothing more.
  const speed = throughput === undefined ? undefined : open === 0 || now - throughput.at > 5_000 ? 0 : throughput.metric.value;

  useEffect(() => {
    const came = account.events - seen.current;
    seen.current = account.events;
    setEvents(came);
    series.rate.push(up ? (rate ?? null) : null);
    series.speed.push(up ? (speed ?? null) : null);
    series.open.push(up ? (open ?? null) : null);
    series.events.push(came);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- one sample a second
  }, [now]);

  const matched = [...latest.current.values()]
    .map(({ metric }) => metric)
    .filter((m) => m.metric === 'matched_amount' && m.labels?.['job'] === job && m.amount)
    .map((m) => m.amount ?? { amount: '0', currency: '' })
    .sort((a, b) => a.currency.localeCompare(b.currency));
  return { rate, speed, open, matched, events, series };
}
