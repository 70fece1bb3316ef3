import { describe, expect, it } from 'vitest';
import { reveal } from '../src/matches/reveal';

const box = (scroll: number) => ({ scroll, height: 500, covered: { top: 32, bottom: 50 } });
const row = (top: number) => ({ top, height: 44 });

describe('reveal', () => {
  it('stays where a row is seen whole', () => {
    expect(reveal(row(1_032), box(1_000))).toBe(1_000);
    expect(reveal(row(1_406), box(1_000))).toBe(1_000);
  });

  it('brings a row out from under the head, and up from the end', () => {
    expect(reveal(row(1_020), box(1_000))).toBe(988);
    expect(reveal(row(1_407), box(1_000))).toBe(1_001);
  });

  it('brings a row that is far away to the middle of what is free', () => {
    const at = reveal(row(5_000), box(1_000));
    expect(5_022 - at).toBe((32 + 450) / 2);
    expect(reveal(row(4_000), box(9_000))).toBe(4_022 - 241);
  });

  it('does not scroll to before the beginning', () => {
    expect(reveal(row(32), box(3_000))).toBe(0);
    expect(reveal(row(32), box(10))).toBe(0);
  });
});
