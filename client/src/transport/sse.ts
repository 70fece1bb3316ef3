import type { TallywireError } from '../error.js';
import { httpLink } from './httplink.js';
import type { Link, LinkHandler, LinkOptions } from './link.js';
import { openStream } from './stream.js';

/** Reopening waits this long, so that channels that come together are asked for together. */
const SETTLE_MS = 10;

/**
 * Opens a stream of server-sent events on /v1/sse. A stream's channels are fixed: to change them another one is
 * opened, and the old one is closed when the new one speaks.
 */
export function openSSE(o: LinkOptions, on: LinkHandler): Link {
  let live: AbortController | undefined;
  let next: AbortController | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function reopenIn(ms: number): void {
    clearTimeout(timer);
    timer = setTimeout(reopen, ms);
  }

  const link = httpLink('sse', o, on, {
    changed: () => reopenIn(SETTLE_MS),
    moving: reopenIn,
    probe() {
      if (link.positions.size() > 0) reopenIn(0);
    },
    close() {
      clearTimeout(timer);
      live?.abort();
      next?.abort();
    },
  });

  function reopen(): void {
    next?.abort();
    next = undefined;
    if (link.positions.size() === 0) {
      live?.abort();
      live = undefined;
      link.idle();
      return;
    }
    const mine = new AbortController();
    next = mine;
    const asked = link.positions.request();
    const current = () => !mine.signal.aborted && !link.ended();
    const began = Date.now();
    let refused: TallywireError | undefined;
    openStream(link.options(), asked.channels, mine.signal, (frames) => {
      if (!current()) return;
      if (next === mine) {
        live?.abort();
        live = mine;
        next = undefined;
        on.rtt(Date.now() - began);
      }
      refused = link.take(frames, asked) ?? refused;
    }).then(
      (ended) => {
        if (current()) link.end(refused ?? ended);
      },
      (error: TallywireError) => {
        if (current() && !link.refusedAll(error, asked)) link.end(refused ?? error);
      },
    );
  }

  return link.link;
}
