import { useClient } from '@tallywire/client/react';
import { useCallback, useMemo, useState, useSyncExternalStore, type ReactNode } from 'react';
import { MetricStrip } from '../metrics/MetricStrip';
import { usePeople } from '../people/people';
import { Detail } from './Detail';
import { MatchPanel } from './MatchPanel';
import { EMPTY, MatchTable } from './table';

const NEVER = { listen: () => () => {}, get: () => EMPTY };

/** Everything about one job: its figures, its matches, and the one match that is open. `waiting`: which jobs there are is not known yet. */
export function Workspace({ job, waiting }: { job: string | null; waiting: boolean }): ReactNode {
  const client = useClient();
  const table = useMemo(() => (job === null ? null : new MatchTable(client, job)), [client, job]);
  const view = useSyncExternalStore((table ?? NEVER).listen, (table ?? NEVER).get);
  const [open, setOpen] = useState<string | null>(null);
  const match = open === null ? undefined : view.rows.get(open);
  const people = usePeople(job, match?.subject ?? null);
  const close = useCallback(() => {
    setOpen(null);
    document.querySelector<HTMLElement>('.rows')?.focus();
  }, []);
  return (
    <main className="workspace" id="main" tabIndex={-1} data-detail={match !== undefined}>
      <MetricStrip job={job} counts={view.counts} />
      <MatchPanel job={job} waiting={waiting} view={view} people={people} open={open} setOpen={setOpen} />
      {match && table && <Detail key={match.id} match={match} channel={table.channel} people={people} close={close} />}
    </main>
  );
}
