import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject, onTestFailed, onTestFinished, vi } from 'vitest';

const secret = 'a secret of at least thirty-two bytes';

/** A token for everything. */
export function token(user = 'alice', seconds = 3600, tw: object = { subscribe: ['*'], publish: ['*'], presence: ['*'] }): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: user, iss: 'tallywire', aud: 'tallywire', iat: now, exp: now + seconds, tw };
  const part = (v: object) => Buffer.from(JSON.stringify(v)).toString('base64url');
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}

/** A port of the loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** A process that the test ends. */
export interface Process {
  readonly port: number;
  readonly url: string;
  kill(signal?: NodeJS.Signals): Promise<void>;
}

async function run(command: string, args: string[], port: number): Promise<Process> {
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  const keep = (b: Buffer) => {
    log = (log + b.toString()).slice(-8_000);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const exit = once(child, 'exit');
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    child.kill(signal);
    await exit;
  };
  onTestFailed(() => console.error(log));
  onTestFinished(() => kill());
  return { port, url: `http://127.0.0.1:${port}`, kill };
}

/** Starts a gateway, and waits until it is ready. */
export async function startGateway(...args: string[]): Promise<Process> {
  return startGatewayAt(await freePort(), ...args);
}

export async function startGatewayAt(port: number, ...args: string[]): Promise<Process> {
  const p = await run(
    inject('binary'),
    ['serve', '--listen', `127.0.0.1:${port}`, '--admin-listen', 'off', '--auth-secret', secret, '--drain-window', '1s', ...args],
    port,
  );
  await vi.waitFor(
    async () => {
      const answer = await fetch(`${p.url}/readyz`);
      if (answer.status !== 200) throw new Error(`not ready: ${answer.status}`);
    },
    { timeout: 20_000, interval: 30 },
  );
  return p;
}

/** Starts a Redis server, so that several gateways can share it. */
export async function startRedis(): Promise<string> {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'tallywire-redis-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  await run('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir], port);
  return `redis://127.0.0.1:${port}`;
}
