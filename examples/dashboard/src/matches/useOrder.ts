import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { ordered, type Filter } from './order';
import type { TableView } from './table';

const AGAIN_MS = 400;

export interface Order {
  readonly ids: readonly string[];
  /** Matches that changed or came since the order was made. */
  readonly waiting: number;
  /** Makes the order anew. */
  refresh(): void;
}

/**
 * The order of the rows. It follows what happens, a few times a second, until somebody looks closer: a row
 * must not move away from under a pointer. Then what is new waits, and is counted.
 */
export function useOrder(view: TableView, of: string, filter: Filter, text: string, held: boolean): Order {
  const key = `${of}\n${filter}\n${text}`;
  const [made, setMade] = useState({ key: '', ids: [] as readonly string[], touched: 0, loaded: false });
  const latest = useRef(view);
  latest.current = view;

  const make = useCallback(() => {
    const { rows, loaded, touched } = latest.current;
    setMade({ key, ids: ordered(rows, filter, text), touched, loaded });
  }, [key, filter, text]);

  // Another question is answered at once, and what was there before the page came shows as one.
  const first = made.key !== key || made.loaded !== view.loaded || (made.ids.length === 0 && view.rows.size > 0);
  useEffect(() => {
    if (first) make();
  }, [first, make, view.version]);

  // One timer from the first change after the order was made: a change in every frame must neither push it away nor
  // leave what is already stale again without one.
  const stale = view.touched > made.touched || view.rows.size < made.ids.length;
  useEffect(() => {
    if (held || !stale) return;
    const timer = setTimeout(make, AGAIN_MS);
    return () => clearTimeout(timer);
  }, [held, stale, make, made]);

  const waiting = useMemo(() => {
    if (!held) return 0;
    let n = 0;
    for (const m of view.rows.values()) if (m.touched > made.touched) n++;
    return n;
  }, [held, view, made]);

  const ids = useMemo(() => made.ids.filter((id) => view.rows.has(id)), [made, view]);
  return { ids: made.key === key ? ids : [], waiting, refresh: make };
}
