/** A position in a channel's log: the `offset` counts entries from 1, `stamp` is microseconds since 1970. */
export interface Position {
  readonly offset: number;
  readonly stamp: number;
}

/** The position before the first entry that a channel ever had. */
export const origin: Position = { offset: 0, stamp: 0 };

/** Writes a position as `<offset>-<stamp>`. */
export function formatCursor(p: Position): string {
  return `${p.offset}-${p.stamp}`;
}

/** Reads `<offset>-<stamp>`, or `"0"` for {@link origin}; `undefined` where the text is no cursor. */
export function parseCursor(text: string): Position | undefined {
  if (text === '0') return origin;
  const parts = /^(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,15})$/.exec(text);
  if (!parts) return undefined;
  const offset = Number(parts[1]);
  const stamp = Number(parts[2]);
  if ((offset === 0) !== (stamp === 0)) return undefined;
  return { offset, stamp };
}

/** Whether two positions name the same entry. */
export function samePosition(a: Position, b: Position): boolean {
  return a.offset === b.offset && a.stamp === b.stamp;
}
