import type { Match, MatchStatus } from './match';

export type Filter = 'all' | MatchStatus;

/** The ids of the matches that pass, the last one that changed first. */
export function ordered(rows: ReadonlyMap<string, Match>, filter: Filter, text: string): string[] {
  const wanted = text.trim().toLowerCase();
  const list: Match[] = [];
  for (const match of rows.values()) if (passes(match, filter, wanted)) list.push(match);
  list.sort((a, b) => b.touched - a.touched);
  return list.map((m) => m.id);
}

function passes({ id, data }: Match, filter: Filter, wanted: string): boolean {
  if (filter !== 'all' && data.status !== filter) return false;
  if (wanted === '') return true;
  const texts = [id, data.rule_id, data.note, data.left_amount?.amount, data.right_amount?.amount, data.left_amount?.currency];
  return [...texts, ...data.left_ids, ...data.right_ids].some((t) => t?.toLowerCase().includes(wanted));
}
