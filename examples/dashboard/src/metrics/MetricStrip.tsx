import type { ReactNode } from 'react';
import type { Counts } from '../matches/table';
import { digits, integer } from '../ui/format';
import type { Series } from './series';
import { Spark } from './Spark';
import { useMetrics } from './useMetrics';

/** The figures of the chosen job, with the last two minutes of each. */
export function MetricStrip({ job, counts }: { job: string | null; counts: Counts }): ReactNode {
  const { rate, speed, open, matched, events, series } = useMetrics(job);
  return (
    <section className="metrics" aria-label="Figures">
      <Tile name="Lines matched" value={rate === undefined ? '–' : `${rate.toFixed(1)} %`} series={series.rate} max={100} />
      <Tile name="Speed" value={speed === undefined ? '–' : `${integer(speed)}`} unit="lines/s" series={series.speed} />
      <Tile name="Lines open" value={open === undefined ? '–' : integer(open)} series={series.open} />
      <Tile name="Events here" value={integer(events)} unit="/s" series={series.events} />
      <div className="tile amounts">
        <h3>Matched amount</h3>
        {matched.length === 0 ? (
          <p className="value">–</p>
        ) : (
          <ul>
            {matched.map((m) => (
              <li key={m.currency}>
                <span>{m.currency}</span> <b>{digits(m.amount)}</b>
              </li>
            ))}
          </ul>
        )}
        <p className="sub">{counts.proposed === 0 ? 'Nothing to decide' : `${integer(counts.proposed)} to decide`}</p>
      </div>
    </section>
  );
}

function Tile({ name, value, unit, series, max }: { name: string; value: string; unit?: string; series: Series; max?: number }): ReactNode {
  return (
    <div className="tile">
      <h3>{name}</h3>
      <p className="value">
        {value} {unit !== undefined && value !== '–' && <small>{unit}</small>}
      </p>
      <Spark series={series} max={max} />
    </div>
  );
}
