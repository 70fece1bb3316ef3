import { afterEach, vi } from 'vitest';
// Loaded before the clock is a fake one.
import '../../src/later.js';
import '../../src/transport/fallback.js';
import type { ChannelEvent, Client, ClientOptions, ConnectionStatus, TallywireError } from '../../src/index.js';
import { createClient } from '../../src/index.js';
import type { TestServer, TestServerOptions } from '../../src/testing/index.js';
import { createTestServer } from '../../src/testing/index.js';

/** A client and its server on a fake clock; the client records what it reports. */
export interface Rig {
  server: TestServer;
  client: Client;
  errors: TallywireError[];
  status(): ConnectionStatus;
  /** Lets the clock run, and everything that is due. */
  run(ms?: number): Promise<void>;
  /** Lets it run in small steps until the condition holds. */
  until(condition: () => boolean, ms?: number, step?: number): Promise<void>;
}

const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of open.splice(0)) await end();
  vi.useRealTimers();
});

export function rig(options: Partial<ClientOptions> = {}, serverOptions: TestServerOptions = {}): Rig {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] });
  const server = createTestServer(serverOptions);
  const client = createClient<Record<string, unknown>>({ ...server.options, token: server.token(), ...options });
  const errors: TallywireError[] = [];
  client.on('error', (e) => errors.push(e));
  open.push(async () => {
    await client.close();
    server.close();
  });
  const run = async (ms = 0) => {
    await server.settled();
    await vi.advanceTimersByTimeAsync(ms);
    await server.settled();
  };
  return {
    server,
    client,
    errors,
    status: () => client.getStatus(),
    run,
    async until(condition, ms = 60_000, step = 20) {
      const end = Date.now() + ms;
      await run();
      while (!condition()) {
        if (Date.now() > end) throw new Error(`not within ${ms} ms`);
        await run(step);
      }
    },
  };
}

/** Collects what a channel delivers. */
export function collect(client: Client, channel: string, from?: 'now' | string | Date) {
  const events: ChannelEvent[] = [];
  const resets: string[] = [];
  const sub = client.subscribe(channel, (e) => events.push(e), {
    ...(from !== undefined && { from }),
    onReset: (r) => resets.push(r.reason),
  });
  return { sub, events, resets, numbers: () => events.map((e) => (e.data as { n: number }).n) };
}

/** An event with a number. */
export const numbered = (n: number) => ({ type: 'x.counted', data: { n } });

/** 1 to n. */
export const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
