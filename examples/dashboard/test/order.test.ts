import type { ChannelEvent } from '@tallywire/client';
import { describe, expect, it } from 'vitest';
import { after, type Match } from '../src/matches/match';
import { ordered } from '../src/matches/order';

function event(type: string, data: Record<string, unknown>): ChannelEvent {
  const id = String(data['match_id']);
  return { channel: 'm', cursor: '2-1', skipped: 0, type, data, id, source: 's', subject: `match/${id}`, time: '2026-11-24T10:00:00Z', attributes: {} };
}

const created = (id: string, status = 'proposed'): ChannelEvent =>
  event('match.created', { match_id: id, status, left_ids: [`B-${id}`], right_ids: [`L-${id}`], rule_id: 'window', author: { kind: 'rule', id: 'window' } });

describe('a match', () => {
  it('is made of its events', () => {
    const first = after(undefined, created('1'), 1, 0) as Match;
    const decided = event('match.updated', {
      match_id: '1', changed: ['status'], status: 'confirmed', previous_status: 'proposed', author: { kind: 'user', id: 'mara', name: 'Mara' }, note: 'Checked.',
    });
    const second = after(first, decided, 2, 5) as Match;
    expect(second.data).toMatchObject({ status: 'confirmed', left_ids: ['B-1'], rule_id: 'window' });
    expect(second.steps.map((s) => `${s.what} by ${s.who}`)).toEqual(['Found by rule window', 'Proposed → Confirmed by Mara']);
    expect([first.byPerson, second.byPerson]).toEqual([false, true]);
    expect(first.data.status).toBe('proposed');
  });

  it('goes when it is deleted, and is not made of an update alone', () => {
    expect(after(undefined, event('match.updated', { match_id: '1', changed: [] }), 1, 0)).toBeUndefined();
    expect(after(after(undefined, created('1'), 1, 0) ?? undefined, event('match.deleted', { match_id: '1' }), 2, 0)).toBeNull();
    expect(after(undefined, event('error.raised', { code: 'line.unmatched' }), 1, 0)).toBeUndefined();
  });
});

describe('the order', () => {
  const rows = new Map<string, Match>();
  for (const [n, [id, status]] of ([['1', 'proposed'], ['2', 'confirmed'], ['3', 'proposed']] as const).entries()) {
    rows.set(id, after(undefined, created(id, status), n === 0 ? 9 : n, 0) as Match);
  }

  it('has the last change first', () => expect(ordered(rows, 'all', '')).toEqual(['1', '3', '2']));
  it('takes a status', () => expect(ordered(rows, 'confirmed', '')).toEqual(['2']));
  it('takes a text, whatever its case', () => expect(ordered(rows, 'all', ' b-3')).toEqual(['3']));
  it('may be empty', () => expect(ordered(rows, 'rejected', '')).toEqual([]));
});
