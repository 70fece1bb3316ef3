import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { createTestServer, type Frame } from '../../src/testing/index.js';
import { startGateway, token } from './process.js';

/** What differs from run to run: stamps, versions, times, names, and the words of a message. */
function plain(frame: Frame): unknown {
  return JSON.parse(
    JSON.stringify(frame, (key, value: unknown) => {
      if (key === 'message' || key === 'gateway' || key === 'expires' || key === 'cursors') return undefined;
      if (key === 'version' || key === 'prev' || key === 'since' || (key === 'members' && typeof value === 'number')) return '*';
      return typeof value === 'string' ? value.replace(/^(\d+)-\d+$/, '$1-*') : value;
    }),
  );
}

/** A gateway to talk to: the one in memory, or a real one. */
interface Place {
  url: string;
  WebSocket: new (url: string, protocol: string) => { send(data: string): void; close(): void; onopen: unknown; onmessage: unknown };
  fetch: typeof globalThis.fetch;
  token: (user: string, tw?: object) => string;
}

/** How many frames answer a message; or, where that may differ, what is in them. */
type Answers = number | string[];

/** Sends messages one after the other, and waits for the answers to each. */
async function talk(place: Place, messages: [frames: object[], answers: Answers][]): Promise<unknown[][]> {
  const socket = new place.WebSocket(`${place.url.replace('http', 'ws')}/v1/ws`, 'tallywire.v1');
  const got: Frame[] = [];
  socket.onmessage = ({ data }: { data: unknown }) => got.push(...(JSON.parse(String(data)) as Frame[]));
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  const out: unknown[][] = [];
  for (const [sent, answers] of messages) {
    socket.send(JSON.stringify(sent));
    await vi.waitFor(() => {
      if (typeof answers === 'number') expect(got.length).toBeGreaterThanOrEqual(answers);
      else for (const text of answers) expect(JSON.stringify(got)).toContain(text);
    }, 10_000);
    const frames = got.splice(0).map(plain);
    out.push(typeof answers === 'number' ? frames : answers);
  }
  socket.close();
  return out;
}

async function ask(place: Place, path: string, body: object): Promise<unknown> {
  const headers = { Authorization: `Bearer ${place.token('dave')}`, 'Content-Type': 'application/json' };
  const answer = await place.fetch(place.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  const value = (await answer.json()) as Frame[] | (Frame & { detail: unknown });
  return Array.isArray(value) ? value.map(plain) : { ...(plain(value) as object), detail: '', http: answer.status };
}

/** All that is compared. */
async function scenario(place: Place): Promise<unknown[]> {
  const event = (n: number): object => ({ type: 'x.noted', id: `e${n}`, data: { n } });
  const connect = (user: string, tw?: object): object => ({ type: 'connect', id: 1, session: `s-${user}`, token: place.token(user, tw) });
  return [
    await talk(place, [
      [[{ type: 'subscribe', id: 0, channel: 'a' }], 1],
      [[connect('alice')], 1],
      [[connect('alice')], 1],
      [[{ type: 'ping' }], 1],
      [[{ type: 'subscribe', id: 2, channels: [{ channel: 'a', cursor: '0' }, { channel: 'b' }] }], 2],
      [[{ type: 'publish', id: 3, channel: 'a', event: event(1) }], 2],
      [[{ type: 'publish', id: 4, channel: 'a', event: event(1), ack: 'stored' }], 1],
      [[{ type: 'signal', id: 5, channel: 'b', event: { type: 'x.cursor' } }], 2],
      [[{ type: 'unsubscribe', id: 6, channel: 'b' }], 1],
      [[{ type: 'unsubscribe', id: 7, channel: 'b' }], 1],
      [[{ type: 'subscribe', id: 8, channels: ['_x', { channel: 'a', cursor: 'x' }, { channel: 'a', since: 'x' }] }], 3],
      [[{ type: 'subscribe', id: 9, channel: '' }], 1],
      [[{ type: 'publish', id: 10, channel: 'a', event: { type: '' } }], 1],
      [[{ type: 'publish', id: 11, channel: 'a', event: event(2), ack: 'eaten' }], 1],
      [[{ type: 'dance', id: 12 }], 1],
      [[{ type: 'subscribe', id: 13, channel: 'a', cursor: '99-1795514041000000' }], 3],
      [[{ type: 'refresh', id: 14, token: place.token('mallory') }], 1],
      [[{ type: 'refresh', id: 15, token: place.token('alice', { subscribe: ['c'], publish: [], presence: [] }) }], 3],
      [[{ type: 'publish', id: 16, channel: 'a', event: event(3) }], 1],
      [[{ type: 'presence', id: 17, channel: 'm' }], 1],
    ]),
    await talk(place, [
      [[connect('bob')], 1],
      // The members may have been read before, and then a change follows.
      [[{ type: 'presence', id: 2, channel: 'm', status: { row: 1 } }], ['"present"', '"user":"bob"']],
      [[{ type: 'presence', id: 3, channel: 'm', status: null }], 2],
      [[{ type: 'members', id: 4, channel: 'm', limit: 1 }], 1],
      [[{ type: 'presence', id: 5, channel: 'm', leave: true }], 1],
      [[{ type: 'presence', id: 6, channel: 'm', leave: true }], 1],
      [[{ type: 'subscribe', id: 7, channels: [{ channel: 'n', presence: true }] }], 2],
    ]),
    await ask(place, '/v1/poll', { channels: [{ channel: 'p' }, { channel: 'a', cursor: '0' }], wait_ms: 0 }),
    await ask(place, '/v1/poll', { channels: [{ channel: 'q', presence: true }], session: 'p1', wait_ms: 0 }),
    await ask(place, '/v1/poll', { channels: [] }),
    await ask(place, '/v1/poll', { channels: ['p'] }),
    await ask(place, '/v1/poll', { channels: [{ channel: '_x' }] }),
    await ask(place, '/v1/poll', { channels: [{ channel: 'p' }, { channel: 'p' }] }),
    await ask(place, '/v1/poll', { channels: [{ channel: 'p' }], wait_ms: 60_001 }),
    await ask(place, '/v1/poll', { channels: [{ channel: 'p' }], present: [{ channel: 'p' }] }),
    await ask(place, '/v1/poll', { channels: [{ channel: 'p' }], cursors: 'AAAA' }),
    await ask(place, '/v1/sse', { channels: [{ channel: 'p' }], present: [{ channel: 'p' }], session: 's' }),
    await ask(place, '/v1/poll', { channels: [{ channel: 'a', cursor: '99-1795514041000000' }, { channel: '_x' }] }),
    await ask(place, '/v1/commands', { session: 's1', seq: 1, frames: [{ type: 'publish', id: 1, channel: 'z', event: event(1) }, { type: 'ping' }] }),
    await ask(place, '/v1/commands', { session: 's1', seq: 1, frames: [{ type: 'publish', id: 1, channel: 'z', event: event(1) }, { type: 'ping' }] }),
    await ask(place, '/v1/commands', { session: 's1', seq: 7, frames: [{ type: 'ping' }] }),
    await ask(place, '/v1/commands', { frames: [{ type: 'subscribe', id: 1, channel: 'a' }] }),
  ];
}

/** Puts the frames of each answer into one order: those of different stores overtake each other. */
function settle(all: unknown[]): unknown[] {
  const sorted = (frames: unknown[]): string[] => frames.map((f) => JSON.stringify(f)).sort();
  return all.map((part) => {
    if (!Array.isArray(part)) return part;
    return part.every(Array.isArray) ? (part as unknown[][]).map(sorted) : sorted(part);
  });
}

test('the gateway in memory answers as a real one does', async () => {
  const server = createTestServer();
  onTestFinished(() => server.close());
  const gateway = await startGateway();
  const memory = await scenario({
    ...server.options,
    WebSocket: server.WebSocket,
    token: (user, tw) => server.token({ user, ...tw }),
  });
  const real = await scenario({ url: gateway.url, WebSocket, fetch, token: (user, tw) => token(user, 3600, tw) });
  expect(settle(memory)).toEqual(settle(real));
});
