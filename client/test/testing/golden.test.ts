import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeMessage, type Decoded } from '../../src/testing/decode.js';
import { serverFrames as frames } from '../../src/testing/frames.js';

/** What `go test ./gateway/wire` writes and holds the gateway against. */
interface Golden {
  client: { name: string; message: string; frames: Record<string, unknown>[] | null }[];
  server: { name: string; message: string }[];
}

const golden = JSON.parse(
  readFileSync(new URL('../../../gateway/wire/testdata/frames.json', import.meta.url), 'utf8'),
) as Golden;

/** Puts a decoded frame into the form of the golden file. */
function shape({ frame, error }: Decoded): Record<string, unknown> {
  if (!error) return { ...frame };
  const { code, path } = error;
  return { ...frame, error: path === undefined ? { code } : { code, path } };
}

describe('messages of clients', () => {
  it.each(golden.client)('$name', ({ message, frames: want }) => {
    expect(decodeMessage(message).map(shape)).toEqual(want ?? []);
  });

  it('knows some', () => expect(golden.client.length).toBeGreaterThan(30));
});

const cursor = { offset: 41, stamp: 1795514041000000 };
const head = { offset: 43, stamp: 1795514043000000 };

/** The server's frames, built as the test server builds them; the names are those of the golden file. */
const built: Record<string, object> = {
  connected: frames.connected(7, { session: 'c81f', user: 'alice', gateway: 'gw-7', pingMs: 25000, expires: 1795518000 }),
  'connected without expiry, names that need escapes': frames.connected(undefined, {
    session: 'a"\\\u2028\n\x7f', user: 'bad\ufffdutf8', gateway: 'gw', pingMs: 0,
  }),
  refreshed: frames.refreshed('r', 1795521600),
  'subscribed and resumed': frames.subscribed(7, 'jobs:42', cursor, head, true),
  'subscribed from now on': frames.subscribed(undefined, 'jobs:42', head, head, false),
  unsubscribed: frames.unsubscribed(7, 'jobs:42'),
  published: frames.published(7, { cursor, ack: 'replicated', duplicate: false }),
  'published before': frames.published(7, { cursor, ack: 'stored', duplicate: true }),
  'signal answered': frames.published(7, { duplicate: false }),
  reset: frames.reset('jobs:42', 'trimmed', cursor, head),
  event: frames.event('jobs:42', cursor, { type: 'x', data: [1] }, 0),
  'event after skipped ones': frames.event('jobs:42', cursor, { type: 'x' }, 3),
  skip: frames.skip('jobs:42', cursor, 2),
  signal: frames.signal('jobs:42', { type: 'x' }),
  present: frames.present(7, 'jobs:42'),
  members: frames.members(7, 'jobs:42', {
    version: 1795514041000000, count: 3, sessions: 4, next: 'bob',
    members: [
      { user: 'alice', name: 'Alice A.', state: 'live', since: '2026-11-24T10:00:00Z', sessions: 2, status: { at: 'x' } },
      { user: 'bob', state: 'grace', since: '2026-11-24T10:00:00Z', sessions: 1 },
    ],
  }),
  'nobody, as it was when the store went away': frames.members(undefined, 'jobs:42', {
    version: 0, count: 0, sessions: 0, members: [], staleSinceMs: 1795514000000,
  }),
  member: frames.member('jobs:42', 1795514043000000, 1795514041000000, 'join', {
    user: 'carol', state: 'live', since: '2026-11-24T10:00:00Z', sessions: 1,
  }),
  moving: frames.moving(1200),
  degraded: frames.degraded(true, 'no "pong"', 1795514000000),
  'whole again': frames.degraded(false, '', 1795514000001),
  'error with everything': frames.error(7, {
    code: 'invalid_event', message: 'data.percent: must be <= 100', path: '/data/percent', channel: 'jobs:42',
  }),
  'error that may pass': frames.error(undefined, { code: 'unavailable', message: 'the store is not available' }),
  next: frames.next({
    channels: [
      { channel: 'jobs:42', cursor: head, presence: true, members: 1795514041000000 },
      { channel: 'jobs:43', cursor: undefined, presence: false, members: undefined },
    ],
    cursors: 'composite', more: true, degraded: true,
  }),
  'next of one channel': frames.next({
    channels: [{ channel: 'jobs:42', cursor: head, presence: false, members: undefined }],
    cursors: 'composite', more: false, degraded: false,
  }),
  ping: frames.ping(),
  pong: frames.pong(),
};

describe('messages of the server', () => {
  it.each(golden.server)('$name', ({ name, message }) => {
    const frame = built[name];
    expect(frame, 'the golden file has a frame that the test server does not know').toBeDefined();
    // Parsed and written again, so that fields and their order count, and the choice of escapes does not.
    expect(JSON.stringify([frame])).toBe(JSON.stringify(JSON.parse(message)));
  });

  it('builds nothing else', () => {
    expect(Object.keys(built).sort()).toEqual(golden.server.map((g) => g.name).sort());
  });
});
