import { execute, presenceProblem, type Caller } from './commands.js';
import { decodeMessage } from './decode.js';
import type { Exchange } from './exchange.js';
import { serverFrames, type Frame } from './frames.js';
import type { Hub } from './hub.js';
import type { Outlet } from './session.js';
import type { Principal } from './tokens.js';

/** How long presence lasts without another poll or presence command. */
const stayMs = 60_000;
const answersKeptMs = 5 * 60_000;

/** A session that comes by request: its presence, and its sequence of commands. */
export class HttpSession {
  #principal: Principal;
  #expected = 1;
  #answers = new Map<number, { frames: Frame[]; until: number }>();
  #stays = new Map<string, ReturnType<typeof setTimeout>>();
  #poll: Outlet | undefined;

  constructor(
    readonly hub: Hub,
    readonly id: string,
    principal: Principal,
  ) {
    this.#principal = principal;
  }

  /** Notes which poll is open; an earlier one is told that it is not needed any more. */
  polling(outlet: Outlet): void {
    const earlier = this.#poll;
    this.#poll = outlet;
    earlier?.write([serverFrames.error(undefined, { code: 'replaced', message: 'a newer poll of this session goes on' })]);
  }

  /** Notes that a poll is over. */
  pollEnded(outlet: Outlet): void {
    if (this.#poll === outlet) this.#poll = undefined;
  }

  /** A poll: the session is there still, and present where it says. Returns what is wrong with that. */
  heartbeat(present: readonly { channel: string; status?: unknown }[]): Frame[] {
    for (const channel of [...this.#stays.keys()]) this.#stay(channel);
    return present.flatMap((p) => {
      const failure = presenceProblem(this.#principal, p.channel);
      if (failure) return [serverFrames.error(undefined, { ...failure, path: '/presence' })];
      this.#enter(p.channel, p.status);
      return [];
    });
  }

  /** Answers POST /v1/commands. */
  commands(exchange: Exchange, who: Principal, body: string): void {
    this.#principal = who;
    let request: { seq?: unknown; frames?: unknown };
    try {
      request = JSON.parse(body) as { seq?: unknown; frames?: unknown };
    } catch {
      exchange.problem({ code: 'invalid_request', message: 'the body is not valid JSON' });
      return;
    }
    const { seq } = request;
    if (typeof seq !== 'number') {
      exchange.json(this.#run(request.frames));
      return;
    }
    const earlier = this.#answers.get(seq);
    if (earlier && earlier.until > this.hub.now()) {
      exchange.json(earlier.frames);
      return;
    }
    if (seq !== this.#expected) {
      const message = `seq: ${this.#expected} is expected`;
      exchange.problem({ code: 'out_of_order', message, path: '/seq', expected: this.#expected });
      return;
    }
    this.#expected++;
    const frames = this.#run(request.frames);
    this.#answers.set(seq, { frames, until: this.hub.now() + answersKeptMs });
    exchange.json(frames);
  }

  #run(frames: unknown): Frame[] {
    const answers: Frame[] = [];
    const caller: Caller = {
      hub: this.hub,
      session: this.id,
      principal: this.#principal,
      reply: (frame) => answers.push(frame),
      enter: (channel, status) => {
        this.#enter(channel, status);
      },
      leave: (channel) => this.#leave(channel),
    };
    for (const { frame, error } of decodeMessage(JSON.stringify(frames ?? null))) {
      if (error) {
        answers.push(serverFrames.error(frame.id, error));
        continue;
      }
      if (!execute(caller, frame)) {
        const message = 'this gateway does not take the frame here';
        answers.push(serverFrames.error(frame.id, { code: 'unsupported', message, path: '/type' }));
      }
      this.hub.note({ transport: 'commands', session: this.id, type: frame.type, frame: { ...frame } });
    }
    return this.hub.network.surviving(answers);
  }

  #enter(channel: string, status: unknown): void {
    this.hub.roster.enter({
      channel, status, user: this.#principal.user, name: this.#principal.name, session: this.id, claim: this,
    });
    this.#stay(channel);
  }

  #stay(channel: string): void {
    clearTimeout(this.#stays.get(channel));
    this.#stays.set(channel, setTimeout(() => {
      this.#stays.delete(channel);
      this.hub.roster.vanish(channel, this.#principal.user, this.id, this);
    }, stayMs));
  }

  #leave(channel: string): boolean {
    const timer = this.#stays.get(channel);
    if (timer === undefined) return false;
    clearTimeout(timer);
    this.#stays.delete(channel);
    this.hub.roster.leave(channel, this.#principal.user, this.id, this);
    return true;
  }

  /** Stops its timers. */
  end(): void {
    for (const timer of this.#stays.values()) clearTimeout(timer);
    this.#stays.clear();
  }
}
