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
  type SetStateAction,
} from 'react';
import type { People } from '../people/people';
import { MatchRow } from './MatchRow';
import type { Match } from './match';

const narrow = matchMedia('(max-width: 720px)');

function listenNarrow(listener: () => void): () => void {
  narrow.addEventListener('change', listener);
  return () => narrow.removeEventListener('change', listener);
}

interface Props {
  ids: readonly string[];
  rows: ReadonlyMap<string, Match>;
  people: People;
  open: string | null;
  setOpen: Dispatch<SetStateAction<string | null>>;
  /** Somebody looks closely: the order is to stay. */
  setHeld(held: boolean): void;
}

const COLUMNS = ['Status', 'Bank ↔ ledger', 'Amount', 'Difference', 'Confidence', 'Rule', 'Who'] as const;

/** The rows that fit on the screen, of thousands. One of them can be reached by Tab, the others by arrow keys. */
export function MatchRows({ ids, rows, people, open, setOpen, setHeld }: Props): ReactNode {
  const box = useRef<HTMLDivElement>(null);
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

  // What was opened elsewhere comes into view.
  useEffect(() => {
    const index = ids.indexOf(open ?? '');
    if (index < 0) return;
    setCurrent(open);
    list.scrollToIndex(index, { align: 'auto' });
    // eslint-disable-next-line react-hooks/exhaustive-deps -- only when another is opened
  }, [open]);

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
      list.scrollToIndex(next);
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
      aria-activedescendant={current === null ? undefined : `row-${current}`}
      tabIndex={0}
      onKeyDown={move}
      onScroll={hold}
      onPointerEnter={hold}
      onPointerLeave={() => setTimeout(hold)}
      onFocus={hold}
      onBlur={() => setTimeout(hold)}
    >
      <div className="row head" role="row" aria-rowindex={1}>
        {COLUMNS.map((c) => (
          <span key={c} role="columnheader" data-column={c}>
            {c}
          </span>
        ))}
      </div>
      <div className="space" style={{ height: list.getTotalSize() }} role="presentation">
        {list.getVirtualItems().map((item) => {
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
