import { useConnectionStatus } from '@tallywire/client/react';
import { useEffect, type ReactNode } from 'react';
import { Avatar } from '../people/Avatar';
import type { People } from '../people/people';
import { clock, digits, nothing, percent } from '../ui/format';
import { Icon } from '../ui/Icon';
import { STATUS, type Match, type MatchStatus, type Step } from './match';
import { useDecision } from './useDecision';

interface Props {
  match: Match;
  channel: string;
  people: People;
  close(): void;
}

/** One match: what belongs together, who looks at it, what happened to it, and what to make of it. */
export function Detail({ match, channel, people, close }: Props): ReactNode {
  const { data } = match;
  const me = useConnectionStatus({ select: (s) => s.user });
  const others = (people.at.get(match.subject) ?? []).filter((p) => p.user !== me);
  useEffect(() => {
    const leave = (e: KeyboardEvent): void => {
      if (e.key === 'Escape') close();
    };
    document.addEventListener('keydown', leave);
    return () => document.removeEventListener('keydown', leave);
  }, [close]);
  return (
    <aside className="panel detail" aria-labelledby="detail-title">
      <div className="panel-head">
        <h2 id="detail-title">
          <span className="mono">{match.id}</span>
        </h2>
        <span className="chip" data-kind={data.status}>
          {STATUS[data.status]}
        </span>
        <button type="button" className="button quiet icon-only" aria-label="Close the match" onClick={close}>
          <Icon name="close" />
        </button>
      </div>
      <div className="detail-body">
        {others.length > 0 && (
          <p className="also">
            {others.map((p) => (
              <Avatar key={p.user} user={p.user} name={p.name} away={p.state === 'grace'} size="small" />
            ))}
            {others.map((p) => p.name ?? p.user).join(' and ')} {others.length === 1 ? 'looks' : 'look'} at this too
          </p>
        )}
        <div className="sides">
          <Side name="Bank" ids={data.left_ids} amount={data.left_amount} />
          <Side name="Ledger" ids={data.right_ids} amount={data.right_amount} />
        </div>
        <dl className="facts-list">
          <div>
            <dt>Difference</dt>
            <dd data-even={!data.difference || nothing(data.difference.amount)}>
              {data.difference ? `${digits(data.difference.amount)} ${data.difference.currency}` : '–'}
            </dd>
          </div>
          <div>
            <dt>Confidence</dt>
            <dd>{percent(100 * (data.confidence ?? 0), 0)}</dd>
          </div>
          <div>
            <dt>Rule</dt>
            <dd>{data.rule_id ?? '–'}</dd>
          </div>
        </dl>
        {data.note !== undefined && <p className="quote">{data.note}</p>}
        <Decide match={match} channel={channel} />
        <History steps={match.steps} said={data.note} />
      </div>
    </aside>
  );
}

function Side({ name, ids, amount }: { name: string; ids: readonly string[]; amount: Match['data']['left_amount'] }): ReactNode {
  return (
    <div className="side">
      <h3>{name}</h3>
      <p className="amount">{amount ? digits(amount.amount) : '–'} {amount && <small>{amount.currency}</small>}</p>
      <ul>
        {ids.map((id) => (
          <li key={id} className="mono">
            {id}
          </li>
        ))}
      </ul>
    </div>
  );
}

const WAYS: readonly { to: MatchStatus; name: string }[] = [
  { to: 'confirmed', name: 'Confirm' },
  { to: 'disputed', name: 'Dispute' },
  { to: 'rejected', name: 'Reject' },
];

function Decide({ match, channel }: { match: Match; channel: string }): ReactNode {
  const { decide, pending, failed } = useDecision(match, channel);
  const { status } = match.data;
  return (
    <div className="decide">
      <div className="buttons" role="group" aria-label="Decide">
        {WAYS.map(({ to, name }) => (
          <button
            key={to}
            type="button"
            className={to === 'confirmed' && status !== to ? 'button primary' : 'button'}
            data-done={status === to}
            disabled={pending !== null || status === to}
            onClick={() => decide(to)}
          >
            {(to === 'confirmed' || status === to) && <Icon name="check" size={16} />} {status === to ? STATUS[to] : name}
          </button>
        ))}
      </div>
      <p className="said" role="status" data-bad={failed !== null}>
        {pending === 'waiting' && 'Kept here until there is a connection, then sent once.'}
        {pending === 'sending' && 'Being sent …'}
        {pending === null && (failed === null ? 'Everybody here sees a decision at once.' : `Not done: ${failed}`)}
      </p>
    </div>
  );
}

/** What happened, the newest first. `said` stands above already. */
function History({ steps, said }: { steps: readonly Step[]; said: string | undefined }): ReactNode {
  return (
    <section aria-label="History">
      <h3>History</h3>
      <ol className="history">
        {[...steps].reverse().map((s, n) => (
          <li key={s.cursor} data-person={s.person}>
            <p>
              <strong>{s.what}</strong> by {s.who}
            </p>
            {s.note !== undefined && (n > 0 || s.note !== said) && <p className="sub">{s.note}</p>}
            <time dateTime={s.time}>{clock(s.time)}</time>
          </li>
        ))}
      </ol>
    </section>
  );
}
