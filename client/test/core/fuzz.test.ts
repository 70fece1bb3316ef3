import { describe, expect, test } from 'vitest';
import type { Client, Subscription } from '../../src/index.js';
import type { Rig } from './harness.js';
import { numbered, rig } from './harness.js';

/** A small generator with a seed, so that a failure can be repeated. */
function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const offset = (cursor: string | undefined) => Number.parseInt(cursor ?? '', 10) || 1;

/** A listener that holds the client to what it promises: every event follows on the last, or a reset has come between. */
class Checker {
  readonly sub: Subscription;
  last: number | undefined;
  /** The number of the last event: it shows a hole that passes for something skipped. A fork takes numbers away. */
  number: number | undefined;
  resets = 0;
  events = 0;
  closed = false;

  constructor(client: Client, from: 'now' | string, whole: boolean, number?: number) {
    if (from !== 'now') this.last = offset(from);
    this.number = number;
    this.sub = client.subscribe(
      'jobs:1',
      (e) => {
        expect(this.closed).toBe(false);
        const at = offset(e.cursor);
        if (this.last !== undefined) expect(at).toBe(this.last + 1 + e.skipped);
        expect(this.sub.getState().cursor === undefined || offset(this.sub.getState().cursor) < at).toBe(true);
        const { n } = e.data as { n: number };
        if (whole && this.number !== undefined) expect(n).toBe(this.number + 1);
        this.number = n;
        this.last = at;
        this.events++;
      },
      {
        from,
        onReset: (r) => {
          this.resets++;
          this.number = undefined;
          this.last = offset(r.cursor);
        },
      },
    );
  }

  close(): void {
    this.closed = true;
    this.sub.close();
  }
}

/** Loses the next n events on their way; returns its undo. */
function loseEvents(r: Rig, n: number): () => void {
  let left = n;
  const undo = r.server.dropFrames((f) => {
    if (left === 0 || (f['type'] !== 'event' && f['type'] !== 'skip')) return false;
    left--;
    return true;
  });
  return undo;
}

async function play(r: Rig, seed: number, losses: boolean): Promise<Checker[]> {
  const { client, server } = r;
  const next = random(seed);
  const pick = (n: number) => Math.floor(next() * n);
  const checkers: Checker[] = [new Checker(client, 'now', !losses)];
  const cursors = ['0']; // by number
  await r.until(() => checkers[0]?.sub.getState().phase === 'live');
  let n = 0;
  const undo: (() => void)[] = [];
  for (let step = 0; step < 120; step++) {
    const what = pick(losses ? 14 : 12);
    if (what <= 3) for (let i = pick(5); i >= 0; i--) cursors.push(server.publish('jobs:1', numbered(++n)));
    else if (what === 4) server.skip('jobs:1', 1 + pick(3));
    else if (what === 5) server.cut({ silent: pick(4) === 0 && client.getStatus().transport === 'websocket' });
    else if (what === 6) undo.push(loseEvents(r, 1 + pick(2)));
    else if (what === 7) server.moving(pick(200));
    else if (what === 8) client.reconnect();
    else if (what === 9) {
      const from = pick(cursors.length);
      checkers.push(pick(2) === 0 ? new Checker(client, 'now', !losses) : new Checker(client, cursors[from] ?? '0', !losses, from));
    }
    else if (what === 10) checkers.filter((c) => !c.closed)[1]?.close();
    else if (what === 11) await r.run(pick(40_000));
    else if (what === 12) server.trim('jobs:1', pick(4));
    else server.fork('jobs:1', 1);
    if (pick(3) > 0) await r.run(pick(400));
  }
  // Whatever has happened: in the end everybody has everything.
  server.accept();
  for (const fn of undo) fn(); // a loss shows with the next event
  server.publish('jobs:1', numbered(++n));
  const open = checkers.filter((c) => !c.closed);
  await r.until(() => open.every((c) => c.sub.getState().cursor === server.head('jobs:1')), 300_000, 500);
  return open;
}

describe.each(['websocket', 'sse', 'poll'] as const)('whatever happens, over %s', (transport) => {
  const seeds = Array.from({ length: 12 }, (_, i) => i + 1);

  test.each(seeds)('every event comes once, in order (seed %i)', async (seed) => {
    const r = rig({ transports: [transport] });
    const open = await play(r, seed, false);
    for (const c of open) expect(c.resets).toBe(0);
    expect(r.errors.filter((e) => e.code === 'handler_failed').map((e) => e.cause)).toEqual([]);
  });

  test.each(seeds)('or its loss is told (seed %i)', async (seed) => {
    const r = rig({ transports: [transport] });
    await play(r, 1_000 + seed, true);
    expect(r.errors.filter((e) => e.code === 'handler_failed').map((e) => e.cause)).toEqual([]);
  });
});

test('also while ways come and go', async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const r = rig();
    const next = random(seed);
    const ways = setInterval(() => {
      r.server.accept();
      if (next() < 0.7) r.server.refuse(...(['websocket', 'sse', 'poll', 'commands'] as const).filter(() => next() < 0.4));
    }, 7_000);
    const open = await play(r, seed, false);
    clearInterval(ways);
    for (const c of open) expect(c.resets).toBe(0);
    expect(r.errors.filter((e) => e.code === 'handler_failed').map((e) => e.cause)).toEqual([]);
  }
});
