import type { EventMap } from '@tallywire/client';
import { useEvent } from '@tallywire/client/react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { account } from '../connection/realtime';
import { useNow } from '../ui/useNow';
import { Recent, type Line, type Sample } from './series';
import { useCourse } from './useCourse';

type Metric = EventMap['dashboard.metric'];
type Money = NonNullable<Metric['amount']>;

const SECONDS = 90;

export interface Metrics {
  /** The job as it stands; undefined until it has matched something. */
  readonly now: Sample | undefined;
  readonly lines: Readonly<Record<keyof Sample | 'events', Line>>;
  /** Events that came to this page in the last second; null until one has passed. */
  readonly events: number | null;
  readonly amounts: readonly Money[];
}

/** The figures of a job, and how they came about; anew each second. */
export function useMetrics(job: string | null): Metrics {
  const second = useNow();
  const course = useCourse(job);
  const events = useEventRate(second);
  const amounts = useAmounts(job);
  return useMemo(
    () => ({
      now: course.current.last,
      lines: {
        matched: course.current.line('matched'),
        speed: course.current.line('speed'),
        open: course.current.line('open'),
        events: events.line,
      },
      events: events.now,
      amounts: amounts.current,
    }),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- anew each second
    [second, events],
  );
}

/** How many events a second come to this page, without what channels had before. */
function useEventRate(second: number): { now: number | null; line: Line } {
  const recent = useRef(new Recent(SECONDS));
  const [rate, setRate] = useState<{ now: number | null; line: Line }>(() => ({ now: null, line: recent.current.line() }));
  const seen = useRef<number | null>(null);
  const samples = useRef(0);
  useEffect(() => {
    const came = account.events - (seen.current ?? account.events);
    seen.current = account.events;
    if (samples.current++ < 2) return;
    recent.current.push(came);
    setRate({ now: came, line: recent.current.line() });
  }, [second]);
  return rate;
}

/** The matched amount by currency, kept from the newest metric of each. */
function useAmounts(job: string | null): { readonly current: readonly Money[] } {
  const byCurrency = useRef(new Map<string, Money>());
  const list = useRef<readonly Money[]>([]);
  useEvent(
    'metrics:recon',
    'dashboard.metric',
    ({ data: { metric, amount, labels } }) => {
      if (metric !== 'matched_amount' || !amount || labels?.['job'] !== job) return;
      byCurrency.current.set(amount.currency, amount);
      list.current = [...byCurrency.current.values()].sort((a, b) => a.currency.localeCompare(b.currency));
    },
    { from: '0', skip: job === null },
  );
  return list;
}
