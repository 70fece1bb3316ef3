import type { ReactNode } from 'react';
import type { Counts } from '../matches/table';
import { digits, integer, percent } from '../ui/format';
import type { Line } from './series';
import { Spark } from './Spark';
import { useMetrics } from './useMetrics';

/** The figures of the chosen job, each with its course. */
export function MetricStrip({ job, counts }: { job: string | null; counts: Counts }): ReactNode {
  const { now, lines, events, amounts } = useMetrics(job);
  return (
    <section className="metrics" aria-label="Figures">
      <Tile name="Lines matched" value={now && percent(now.matched)} line={lines.matched} max={100} />
      <Tile name="Speed" value={now && integer(now.speed)} unit="lines/s" line={lines.speed} />
      <Tile name="Lines open" value={now && integer(now.open)} line={lines.open} />
      <Tile name="Events on this page" value={events === null ? undefined : integer(events)} unit="/s" line={lines.events} />
      <div className="tile amounts">
        <h3>Matched amount</h3>
        {amounts.length === 0 ? (
          <p className="value">–</p>
        ) : (
          <ul>
            {amounts.map((m) => (
              <li key={m.currency}>
                <span>{m.currency}</span> <b>{digits(m.amount)}</b>
              </li>
            ))}
          </ul>
        )}
        {job !== null && <p className="sub">{counts.proposed === 0 ? 'Nothing to decide' : `${integer(counts.proposed)} to decide`}</p>}
      </div>
    </section>
  );
}

interface TileProps {
  name: string;
  value: string | undefined;
  unit?: string;
  line: Line;
  max?: number;
}

function Tile({ name, value, unit, line, max }: TileProps): ReactNode {
  return (
    <div className="tile">
      <h3>{name}</h3>
      <p className="value">
        {value ?? '–'} {unit !== undefined && value !== undefined && <small>{unit}</small>}
      </p>
      <Spark line={line} max={max} />
    </div>
  );
}
