import { describe, expect, test } from 'vitest';
import { claims } from '../../src/claims.js';
import { refreshIn } from '../../src/refresh.js';

const now = 1_795_514_400_000;
const jwt = (c: object) => `e30.${Buffer.from(JSON.stringify(c)).toString('base64url')}.sig`;

describe('when the next token is asked for', () => {
  const at = (skewMs: number, iat?: number) => refreshIn(now / 1000 + 3600, jwt({ iat }), now + skewMs) / 60_000;

  test.each([
    ['the clock is right', 0],
    ['the clock is two hours behind', -7_200_000],
    ['the clock is two hours ahead', 7_200_000],
  ])('%s', (_name, skewMs) => {
    for (let i = 0; i < 50; i++) {
      const minutes = at(skewMs, now / 1000);
      expect(minutes).toBeGreaterThanOrEqual(48);
      expect(minutes).toBeLessThanOrEqual(54);
    }
  });

  test('a clock that is a bit ahead makes it early, never late', () => {
    expect(at(1_800_000, now / 1000)).toBeLessThanOrEqual(27);
  });

  test('the beginning of the validity is as good as the time of issue', () => {
    const wait = refreshIn(now / 1000 + 3600, jwt({ nbf: now / 1000 }), now - 7_200_000) / 60_000;
    expect(wait).toBeGreaterThanOrEqual(48);
    expect(wait).toBeLessThanOrEqual(54);
  });

  test('soon, where nothing says how long the token is good', () => {
    expect(refreshIn(now / 1000 - 10, undefined, now)).toBeLessThanOrEqual(60_000);
  });

  test('not at once, and not beyond what timers can hold', () => {
    expect(refreshIn(now / 1000 + 1, undefined, now)).toBe(5_000);
    expect(refreshIn(now / 1000 + 1e9, undefined, now)).toBeLessThanOrEqual(86_400_000);
  });

  test('a token that cannot be read says nothing', () => {
    expect(claims('opaque')).toEqual({});
    expect(claims('a.!!!.c')).toEqual({});
    expect(claims(undefined)).toEqual({});
    expect(claims(jwt({ sub: 'zoë' }))).toHaveProperty('sub');
  });
});
