import { useDeferredValue, useRef, useState, type Dispatch, type ReactNode, type SetStateAction } from 'react';
import { Avatar } from '../people/Avatar';
import type { People } from '../people/people';
import { useConnectionStatus } from '@tallywire/client/react';
import { integer, plural } from '../ui/format';
import { Icon } from '../ui/Icon';
import { MatchRows } from './MatchRows';
import { STATUS } from './match';
import type { Filter } from './order';
import type { TableView } from './table';
import { useOrder } from './useOrder';

const FILTERS: readonly Filter[] = ['all', 'confirmed', 'proposed', 'disputed', 'rejected'];
const ALWAYS: readonly Filter[] = ['all', 'confirmed', 'proposed'];
const MOST_FACES = 5;

interface Props {
  job: string | null;
  waiting: boolean;
  view: TableView;
  people: People;
  open: string | null;
  setOpen: Dispatch<SetStateAction<string | null>>;
}

/** The matches of a job, to find one's way in. */
export function MatchPanel({ job, waiting, view, people, open, setOpen }: Props): ReactNode {
  const [filter, setFilter] = useState<Filter>('all');
  const [text, setText] = useState('');
  const [held, setHeld] = useState(false);
  const wanted = useDeferredValue(text);
  const order = useOrder(view, job ?? '', filter, wanted, held || open !== null);
  const rows = useRef<HTMLDivElement>(null);
  /** Opens a match wherever it is: what hides it is taken away. */
  const show = (id: string): void => {
    if (!order.ids.includes(id)) {
      setFilter('all');
      setText('');
      order.refresh();
    }
    setOpen(id);
  };
  const count = (f: Filter): number => (f === 'all' ? view.rows.size : view.counts[f]);
  return (
    <section className="panel matches" aria-labelledby="matches-title">
      <div className="panel-head">
        <h2 id="matches-title">
          Matches {job !== null && <span className="of">{job}</span>}
        </h2>
        <Faces people={people} rows={view.rows} show={show} />
        <div className="filters" role="group" aria-label="Show">
          {FILTERS.filter((f) => ALWAYS.includes(f) || f === filter || count(f) > 0).map((f) => (
            <button key={f} type="button" aria-pressed={f === filter} onClick={() => setFilter(f)}>
              {f === 'all' ? 'All' : STATUS[f]} <b>{integer(count(f))}</b>
            </button>
          ))}
        </div>
        <label className="search">
          <Icon name="search" size={16} />
          <span className="hidden">Search matches</span>
          <input type="search" value={text} placeholder="Search" title="Finds lines, amounts, rules and notes" onChange={(e) => setText(e.target.value)} />
        </label>
      </div>
      {view.incomplete && <p className="banner">Older matches of this job are no longer retained; the list is not complete.</p>}
      {order.ids.length > 0 ? (
        <MatchRows box={rows} ids={order.ids} rows={view.rows} people={people} open={open} setOpen={setOpen} setHeld={setHeld} />
      ) : (
        <Nothing loading={job === null ? waiting : !view.loaded} view={view} filtered={filter !== 'all' || text !== ''} />
      )}
      {order.waiting > 0 && (
        <button
          type="button"
          className="waiting"
          onClick={() => {
            order.refresh();
            if (rows.current) rows.current.scrollTop = 0; // the newest are there
          }}
        >
          <Icon name="up" size={16} /> <span className="hidden">Show</span> {plural(order.waiting, 'change')}
        </button>
      )}
    </section>
  );
}

interface FacesProps {
  people: People;
  rows: TableView['rows'];
  show(id: string): void;
}

/** Who is here. A click shows what somebody looks at. */
function Faces({ people, rows, show }: FacesProps): ReactNode {
  const me = useConnectionStatus({ select: (s) => s.user });
  const all = [...people.all].sort((a, b) => Number(b.user === me) - Number(a.user === me));
  if (all.length === 0) return null;
  return (
    <ul className="faces" data-stale={people.stale} aria-label={`${plural(all.length, 'person', 'people')} here`}>
      {all.slice(0, MOST_FACES).map((p) => {
        const id = p.status?.viewing?.replace(/^match\//, '');
        const face = <Avatar user={p.user} name={p.name} away={p.state === 'grace'} you={p.user === me} />;
        return (
          <li key={p.user}>
            {id !== undefined && p.user !== me && rows.has(id) ? (
              <button type="button" onClick={() => show(id)} title={`Show what ${p.name ?? p.user} looks at`}>
                {face}
              </button>
            ) : (
              face
            )}
          </li>
        );
      })}
      {all.length > MOST_FACES && <li className="more">+{all.length - MOST_FACES}</li>}
    </ul>
  );
}

function Nothing({ loading, view, filtered }: { loading: boolean; view: TableView; filtered: boolean }): ReactNode {
  if (view.refused !== null) {
    return (
      <div className="empty">
        <Icon name="stop" size={28} />
        <p>
          <strong>These matches cannot be shown.</strong> {view.refused}
        </p>
      </div>
    );
  }
  if (loading) {
    return (
      <div className="rows" role="group" aria-busy="true" aria-label="Matches are being loaded">
        {Array.from({ length: 9 }, (_, n) => (
          <div key={n} className="skeleton row-skeleton" />
        ))}
      </div>
    );
  }
  return (
    <div className="empty">
      <Icon name={filtered && view.rows.size > 0 ? 'search' : 'list'} size={28} />
      <p>
        {filtered && view.rows.size > 0 ? (
          'No match is like that.'
        ) : (
          <>
            <strong>No matches yet.</strong> They appear here as soon as the ledgers are read.
          </>
        )}
      </p>
    </div>
  );
}
