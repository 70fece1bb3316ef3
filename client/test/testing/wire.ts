import type { Frame, TestServer } from '../../src/testing/index.js';

/** A client that knows only JSON: what it sends and gets is seen as it is. */
export class RawClient {
  readonly frames: Frame[] = [];
  readonly messages: Frame[][] = [];
  closed: { code: number; reason: string; wasClean: boolean } | undefined;
  readonly socket: InstanceType<TestServer['WebSocket']>;
  readonly opened: Promise<void>;

  constructor(server: TestServer) {
    this.socket = new server.WebSocket('ws://tallywire.test/v1/ws', 'tallywire.v1');
    this.opened = new Promise((resolve) => {
      this.socket.addEventListener('open', () => resolve());
    });
    this.socket.onmessage = ({ data }: { data: string }) => {
      const frames = JSON.parse(data) as Frame[];
      this.messages.push(frames);
      this.frames.push(...frames);
    };
    this.socket.onclose = ({ code, reason, wasClean }: { code: number; reason: string; wasClean: boolean }) => {
      this.closed = { code, reason, wasClean };
    };
  }

  /** Sends frames in one message. */
  send(...frames: object[]): void {
    this.socket.send(JSON.stringify(frames));
  }

  /** The frames of a type. */
  of(type: string): Frame[] {
    return this.frames.filter((f) => f.type === type);
  }

  /** Takes what has come so far. */
  take(): Frame[] {
    return this.frames.splice(0);
  }
}

/** Opens a connection and says who it is. */
export async function connect(server: TestServer, token = 'anything', session?: string): Promise<RawClient> {
  const c = new RawClient(server);
  await c.opened;
  c.send({ type: 'connect', id: 1, token, session });
  await server.settled();
  return c;
}
