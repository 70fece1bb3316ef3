interface Row {
  /** From the beginning of what scrolls. */
  readonly top: number;
  readonly height: number;
}

interface Box {
  readonly scroll: number;
  readonly height: number;
  /** So much of it is covered: by the head that stays, by what floats over the end. */
  readonly covered: { readonly top: number; readonly bottom: number };
}

/** Where to scroll for a row to be seen whole: not further than needed, or, for one that is far away, to the middle. */
export function reveal(row: Row, { scroll, height, covered }: Box): number {
  const [first, last] = [scroll + covered.top, scroll + height - covered.bottom];
  const [above, below] = [first - row.top, row.top + row.height - last];
  if (above <= 0 && below <= 0) return scroll;
  if (Math.max(above, below) > 2 * row.height) return Math.max(0, scroll + row.top + row.height / 2 - (first + last) / 2);
  return Math.max(0, above > 0 ? scroll - above : scroll + below);
}
