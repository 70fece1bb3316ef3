import { useVirtualizer } from '@tanstack/react-virtual';
import {
  useCallback,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
  type Dispatch,
  type KeyboardEvent,
  type ReactNode,
  type RefObject,
  type SetStateAction,
} from 'react';
import type { People } from '../people/people';
import { MatchRow } from './MatchRow';
import type { Match } from './match';
import { reveal } from './reveal';

/** Where rows have two lines: the table is then at most 520 px wide, as in matches.css. */
const narrow = matchMedia('(max-width: 546px)');

function listenNarrow(listener: () => void): () => void {
  narrow.addEventListener('change', listener);
  return () => narrow.removeEventListener('change', listener);
}

interface Props {
  /** What scrolls. */
  box: RefObject<HTMLDivElement | null>;
  ids: readonly string[];
  rows: ReadonlyMap<string, Match>;
  people: People;
  open: string | null;
  setOpen: Dispatch<SetStateAction<string | null>>;
  /** Somebody looks closely: the order is to stay. */
  setHeld(held: boolean): void;
}

const COLUMNS = ['Status', 'Lines', 'Amount', 'Difference', 'Confidence', 'Rule', 'Who'] as const;

const HEADS: Readonly<Partial<Record<(typeof COLUMNS)[number], { full: string; short?: string }>>> = {
  Lines: { full: 'Bank ↔ ledger' },
  Difference: { full: 'Difference', short: 'Diff.' },
  Confidence: { full: 'Confidence', short: 'Conf.' },
};

/** Of the end of the box, where the button with what waits floats. */
const FLOATS_PX = 56;

/** The rows that fit on the screen, of thousands. One of them can be reached by Tab, the others by arrow keys. */
export function MatchRows({ box, ids, rows, people, open, setOpen, setHeld }: Props): ReactNode {
  const slim = useSyncExternalStore(listenNarrow, () => narrow.matches);
  const height = slim ? 68 : 44;
  const [current, setCurrent] = useState<string | null>(null);
  const list = useVirtualizer({
    count: ids.length,
    getScrollElement: () => box.current,
    estimateSize: () => height,
    getItemKey: (n) => ids[n] ?? n,
    overscan: 8,
  });
  const at = Math.max(0, ids.indexOf(current ?? ''));
  const items = list.getVirtualItems();

  const show = (index: number): void => {
    const element = box.current;
    if (!element) return;
    const head = element.querySelector<HTMLElement>('.head')?.offsetHeight ?? 0;
    const covered = { top: head, bottom: FLOATS_PX };
    element.scrollTop = reveal({ top: head + index * height, height }, { scroll: element.scrollTop, height: element.clientHeight, covered });
  };

  // What is opened comes into view, once it is among the rows.
  const sought = useRef<string | null>(null);
  useEffect(() => {
    sought.current = open;
  }, [open]);
  useEffect(() => {
    const index = open === null || sought.current !== open ? -1 : ids.indexOf(open);
    if (index < 0) return;
    sought.current = null;
    setCurrent(open);
    show(index);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- only when another is opened
  }, [open, ids]);

  const choose = useCallback(
    (id: string): void => {
      setCurrent(id);
      setOpen((now) => (now === id ? null : id));
    },
    [setOpen],
  );

  const move = (e: KeyboardEvent): void => {
    const page = Math.max(1, Math.floor((box.current?.clientHeight ?? height) / height) - 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -ids.length, End: ids.length };
    const step = steps[e.key];
    const id = ids[at];
    if ((e.key === 'Enter' || e.key === ' ') && id !== undefined) setOpen(open === id ? null : id);
    else if (e.key === 'Escape') setOpen(null);
    else if (step === undefined) return;
    else {
      const next = Math.min(ids.length - 1, Math.max(0, current === null ? 0 : at + step));
      const to = ids[next] ?? null;
      setCurrent(to);
      if (open !== null) setOpen(to);
      show(next);
    }
    e.preventDefault();
  };

  const hold = (): void => setHeld(box.current !== null && (box.current.matches(':hover, :focus-visible') || box.current.scrollTop > 4));

  return (
    <div
      className="rows"
      ref={box}
      role="grid"
      aria-label="Matches"
      aria-rowcount={ids.length + 1}
      aria-colcount={COLUMNS.length}
      aria-activedescendant={items.some((item) => ids[item.index] === current) ? `row-${current}` : undefined}
      tabIndex={0}
      onKeyDown={move}
      onScroll={hold}
      onPointerEnter={hold}
      onPointerLeave={() => setTimeout(hold)}
      onFocus={() => {
        hold();
        // Who comes by keyboard sees where the arrow keys begin.
        const first = items.find((item) => item.end > (box.current?.scrollTop ?? 0));
        if (current === null && first && box.current?.matches(':focus-visible')) setCurrent(ids[first.index] ?? null);
      }}
      onBlur={() => setTimeout(hold)}
    >
      <div className="row head" role="row" aria-rowindex={1}>
        {COLUMNS.map((c) => {
          const { full = c, short } = HEADS[c] ?? {};
          return (
            <span key={c} role="columnheader" data-column={c} aria-label={full} title={short && full}>
              <span className="full">{full}</span>
              <span className="short">{short ?? full}</span>
            </span>
          );
        })}
      </div>
      <div className="space" style={{ height: list.getTotalSize() }} role="presentation">
        {items.map((item) => {
          const id = ids[item.index];
          const match = id === undefined ? undefined : rows.get(id);
          if (!match) return null;
          return (
            <MatchRow
              key={match.id}
              match={match}
              index={item.index + 2}
              top={item.start}
              height={height}
              current={match.id === current}
              open={match.id === open}
              viewers={people.at.get(match.subject)}
              choose={choose}
            />
          );
        })}
      </div>
    </div>
  );
}
