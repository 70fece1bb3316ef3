import { memo, useEffect, useRef, type ReactNode } from 'react';
import { Avatar } from '../people/Avatar';
import type { Person } from '../people/people';
import { digits, nothing, percent } from '../ui/format';
import { STATUS, type Match } from './match';

/** How long a change shows, and how long a match that is new, of which there may be dozens a second. */
const LIT_MS = 1_800;
const NEW_MS = 700;
const MOST_FACES = 3;

interface Props {
  match: Match;
  index: number;
  top: number;
  height: number;
  current: boolean;
  open: boolean;
  viewers: readonly Person[] | undefined;
  choose(id: string): void;
}

const lines = (ids: readonly string[]): string => (ids.length === 0 ? '—' : ids.length > 2 ? `${ids[0]} +${ids.length - 1}` : ids.join(', '));

/** Lights up when the match has changed a moment ago, and only then: a row that scrolls into view is not news. */
function useLight(match: Match): (row: HTMLDivElement | null) => void {
  const row = useRef<HTMLDivElement | null>(null);
  useEffect(() => {
    const element = row.current;
    const age = performance.now() - match.litAt;
    const fresh = match.steps.length === 1;
    const duration = fresh ? NEW_MS : LIT_MS;
    if (!element || match.litAt === 0 || age > duration) return;
    const light = getComputedStyle(element).getPropertyValue(fresh ? '--accent-soft' : '--light');
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const frames = still ? [{ background: light }, { background: light }] : [{ background: light }, { background: 'transparent' }];
    // In steps: dozens of rows at once are to cost few paints, not one each frame.
    const animation = element.animate(frames, { duration, easing: fresh ? 'steps(4, end)' : 'steps(12, end)' });
    animation.currentTime = age;
    return () => animation.cancel();
  }, [match]);
  return (element) => {
    row.current = element;
  };
}

export const MatchRow = memo(function MatchRow({ match, index, top, height, current, open, viewers, choose }: Props): ReactNode {
  const { data } = match;
  const light = useLight(match);
  const sure = Math.round((data.confidence ?? 0) * 100);
  const by = data.author?.kind === 'user' ? (data.author.name ?? data.author.id) : undefined;
  const even = !data.difference || nothing(data.difference.amount);
  return (
    <div
      ref={light}
      id={`row-${match.id}`}
      className="row"
      role="row"
      aria-rowindex={index}
      aria-selected={open}
      data-current={current}
      data-status={data.status}
      style={{ transform: `translateY(${top}px)`, height }}
      onClick={() => choose(match.id)}
    >
      <span role="gridcell" data-column="Status">
        <span className="chip" data-kind={data.status}>
          {STATUS[data.status]}
        </span>
      </span>
      <span role="gridcell" data-column="Lines" className="mono" title={`${data.left_ids.join(', ')} ↔ ${data.right_ids.join(', ')}`}>
        {lines(data.left_ids)} <span aria-label="with">↔</span> {lines(data.right_ids)}
      </span>
      <span role="gridcell" data-column="Amount" className="number">
        {data.left_amount ? (
          <>
            {digits(data.left_amount.amount)} <small>{data.left_amount.currency}</small>
          </>
        ) : (
          '–'
        )}
      </span>
      <span role="gridcell" data-column="Difference" className="number" data-even={even}>
        {even ? '0' : digits(data.difference?.amount ?? '')}
      </span>
      <span role="gridcell" data-column="Confidence">
        <span className="confidence">
          <span className="track" aria-hidden="true">
            <span className="fill" style={{ transform: `scaleX(${sure / 100})` }} />
          </span>
          {percent(sure, 0)}
        </span>
      </span>
      <span role="gridcell" data-column="Rule" title={by ?? data.rule_id}>
        {by === undefined ? data.rule_id : <b>{by}</b>}
      </span>
      <span role="gridcell" data-column="Who" className="viewers">
        {viewers?.slice(0, MOST_FACES).map((p) => <Avatar key={p.user} user={p.user} name={p.name} away={p.state === 'grace'} size="small" />)}
        {viewers !== undefined && viewers.length > MOST_FACES && <span className="more">+{viewers.length - MOST_FACES}</span>}
      </span>
    </div>
  );
});
