import { jitter } from '../backoff.js';
import { refusal, TallywireError } from '../error.js';
import type { ServerFrame } from '../frame.js';
import { readFrames } from '../frame.js';
import { post } from './http.js';
import type { HttpLink } from './httplink.js';
import { httpLink } from './httplink.js';
import type { Link, LinkHandler, LinkOptions } from './link.js';

const WAIT_MS = 25_000;
/** A proxy that cuts requests does so after some time; what ends earlier has another reason. */
const MIN_WAIT_MS = 4_000;
/** How often in a row another poll may take the place of one. */
const MAX_LOSSES = 3;
/** Longer than an answer takes beyond the wait. */
const SLACK_MS = 10_000;

/** Polls /v1/poll for as long as there are channels. */
export function openPoll(o: LinkOptions, on: LinkHandler): Link {
  let wait = WAIT_MS;
  let polling = false;
  let degraded = false;
  let request: AbortController | undefined;
  let wake: (() => void) | undefined;
  let hollow = 0; // answers in a row that came too early
  let losses = 0; // in a row, to another poll of the session

  const again = () => {
    request?.abort();
    wake?.();
    void run();
  };
  const link: HttpLink = httpLink('poll', o, on, {
    changed: again,
    moving() {}, // the next poll goes elsewhere by itself
    probe: again,
    close() {
      request?.abort();
      wake?.();
    },
  });

  async function run(): Promise<void> {
    if (polling) return;
    polling = true;
    while (!link.ended() && link.positions.size() > 0) await poll();
    polling = false;
    if (!link.ended()) link.idle();
  }

  async function poll(): Promise<void> {
    const mine = new AbortController();
    request = mine;
    const asked = link.positions.request();
    const waitMs = asked.ids.size > 0 ? 0 : wait;
    const began = Date.now();
    try {
      const body = { session: o.session, channels: asked.channels, wait_ms: waitMs };
      const text = await post(link.options(), 'poll', body, { signal: mine.signal, timeoutMs: waitMs + SLACK_MS });
      if (mine.signal.aborted || link.ended()) return;
      if (waitMs === 0) on.rtt(Date.now() - began);
      await answered(readFrames(text as string), asked, Date.now() - began, waitMs);
    } catch (cause) {
      if (mine.signal.aborted || link.ended()) return;
      const error = cause instanceof TallywireError ? cause : new TallywireError('bad_answer', 'no frames', { retry: true, cause });
      const took = Date.now() - began;
      if (link.refusedAll(error, asked)) return;
      if (took > MIN_WAIT_MS && waitMs > MIN_WAIT_MS && (error.code === 'network' || (error.status ?? 0) >= 502)) {
        wait = Math.max(MIN_WAIT_MS, Math.min(took, waitMs) * 0.7);
      } else link.end(error);
    }
  }

  async function answered(frames: ServerFrame[], asked: ReturnType<HttpLink['positions']['request']>, took: number, waitMs: number): Promise<void> {
    const next = frames.find((f) => f.type === 'next');
    if (!next) throw new TallywireError('bad_answer', 'the answer to a poll has no end', { retry: true });
    // A channel that is asked for with a good cursor is answered with nothing but its events.
    const named = new Set(frames.filter((f) => f.type === 'subscribed' || f.type === 'error').map((f) => f.channel));
    const resumed = asked.channels.filter((c) => asked.ids.has(c.channel) && !named.has(c.channel));
    const answers = resumed.map(({ channel, cursor }): ServerFrame => ({ type: 'subscribed', channel, resumed: true, ...(cursor && { cursor }) }));
    const replaced = frames.find((f) => f.code === 'replaced');
    link.take([...answers, ...frames.filter((f) => f !== replaced), ...status(next)], asked);
    link.positions.next(next.channels ?? []);
    // An earlier poll that was given up has come late; or another client uses the session.
    if (!replaced) losses = 0;
    else if (losses >= MAX_LOSSES) return link.end(refusal(replaced));
    else if (losses++ > 0) return pause(jitter(250, 5_000, losses - 1));
    // An answer that comes early with nothing in it comes from something that does not wait.
    if (frames.length > 1 || took >= 1_000 || waitMs === 0) hollow = 0;
    else await pause(jitter(250, 5_000, hollow++));
  }

  /** The frames that a change of `degraded` stands for. */
  function status(next: ServerFrame): ServerFrame[] {
    const now = next.degraded === true;
    if (now === degraded) return [];
    degraded = now;
    return [{ type: 'degraded', degraded }];
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  return link.link;
}
