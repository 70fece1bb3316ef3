import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { onTestFinished } from 'vitest';

/** A proxy between client and gateway that can fail as networks do. */
export interface Proxy {
  readonly url: string;
  /** The gateway behind it. */
  target: number;
  /** WebSockets do not get through; requests do. */
  blockWebSockets: boolean;
  /** New connections are refused. */
  down: boolean;
  /** Ends all connections. */
  cut(): void;
}

export async function startProxy(target: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const server = createServer((inner) => {
    track(inner);
    if (proxy.down) return inner.destroy();
    inner.once('data', (first) => {
      if (proxy.blockWebSockets && /^upgrade: websocket/im.test(first.toString('latin1'))) return inner.destroy();
      const outer = connect(proxy.target, '127.0.0.1');
      track(outer);
      outer.write(first);
      inner.pipe(outer);
      outer.pipe(inner);
      outer.once('close', () => inner.destroy());
      inner.once('close', () => outer.destroy());
      return undefined;
    });
    return undefined;
  });

  function track(s: Socket): void {
    sockets.add(s);
    s.on('error', () => {});
    s.once('close', () => sockets.delete(s));
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: Proxy = {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    target,
    blockWebSockets: false,
    down: false,
    cut() {
      for (const s of sockets) s.destroy();
    },
  };
  onTestFinished(() => {
    proxy.cut();
    server.close();
  });
  return proxy;
}
