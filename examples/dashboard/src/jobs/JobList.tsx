import { useEffect, useRef, type ReactNode } from 'react';
import { Icon } from '../ui/Icon';
import { JobCard } from './JobCard';

interface Props {
  jobs: readonly string[];
  known: boolean;
  refused: string | null;
  chosen: string | null;
  choose(job: string): void;
}

export function JobList({ jobs, known, refused, chosen, choose }: Props): ReactNode {
  const list = useRef<HTMLUListElement>(null);
  // Where the cards lie side by side, the chosen one is in view however many come before it; the page itself does not scroll.
  useEffect(() => {
    const [strip, card] = [list.current, list.current?.querySelector<HTMLElement>('[aria-pressed="true"]')];
    if (!strip || !card || strip.scrollWidth <= strip.clientWidth) return;
    const away = card.getBoundingClientRect().left - strip.getBoundingClientRect().left;
    strip.scrollLeft += away - (strip.clientWidth - card.offsetWidth) / 2;
  }, [chosen, jobs]);
  return (
    <section className="jobs" aria-labelledby="jobs-title">
      <h2 id="jobs-title">Jobs</h2>
      <ul ref={list}>
        {jobs.map((job) => (
          <JobCard key={job} id={job} chosen={job === chosen} choose={choose} />
        ))}
        {jobs.length === 0 && !known && refused === null && [0, 1, 2].map((n) => <li key={n} className="skeleton job" aria-hidden="true" />)}
      </ul>
      {jobs.length === 0 && (known || refused !== null) && (
        <div className="empty">
          <Icon name={refused === null ? 'list' : 'stop'} size={28} />
          <p>
            {refused === null ? (
              <>
                <strong>No job yet.</strong> The first one appears here by itself. To start one:{' '}
                <code>
                  go run ./examples/reconciler <span className="nowrap">--url {location.origin}</span>
                </code>
              </>
            ) : (
              <>
                <strong>The jobs cannot be listed.</strong> {refused}
              </>
            )}
          </p>
        </div>
      )}
    </section>
  );
}
