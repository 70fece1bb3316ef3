import type { ConnectionStatus, TallywireError } from '@tallywire/client';

export type Tone = 'good' | 'info' | 'warn' | 'bad' | 'idle';

export interface Said {
  readonly tone: Tone;
  readonly title: string;
  readonly detail: string;
}

/** After so long without a connection the figures are called stale. */
const STALE_MS = 10_000;

const TRANSPORT = { websocket: 'WebSocket', sse: 'event stream', poll: 'long polling' } as const;

const REFUSED = new Set(['unauthorized', 'token_expired', 'token_revoked', 'token_failed']);

/** Whether an error means that another token is needed. */
export const refused = (error: TallywireError | null): boolean => error !== null && REFUSED.has(error.code);

/** Says what is so, and no more than that. `since` is when the last connection was lost. */
export function say(s: ConnectionStatus, since: number | null, online: boolean, now: number): Said {
  // Figure spaces: what follows stays where it is when the latency gains a digit.
  const latency = s.latencyMs === null ? null : `${Math.round(s.latencyMs)} ms`.padEnd(6, '\u2007');
  const via = s.transport === null ? '' : TRANSPORT[s.transport];
  const asOf = since === null ? '' : `figures as of ${new Date(since).toLocaleTimeString('en-GB')}`;
  const left = s.retryAt === null ? 0 : Math.ceil((s.retryAt - now) / 1_000);
  const next = left > 0 ? `next attempt in ${left} s` : 'trying now';
  if (refused(s.lastError)) return { tone: 'bad', title: 'Not let in', detail: 'another token is needed' };
  switch (s.status) {
    case 'live':
      if (s.transport === 'poll') return { tone: 'info', title: 'Polling', detail: `${via} · nothing is lost, some is later` };
      return { tone: 'good', title: 'Live', detail: [via, s.gateway, latency].filter((part) => part !== null).join(' · ') };
    case 'degraded':
      return { tone: 'warn', title: 'Degraded', detail: 'events are late, none is lost' };
    case 'reconnecting':
      if (!online) return { tone: 'bad', title: 'Offline', detail: asOf };
      if (since !== null && now - since > STALE_MS) return { tone: 'bad', title: 'Stale', detail: `${asOf} · ${next}` };
      return { tone: 'warn', title: 'Reconnecting', detail: asOf === '' ? next : `${asOf} · ${next}` };
    case 'closed':
      return { tone: 'bad', title: 'Closed', detail: asOf };
    default:
      return { tone: 'idle', title: 'Connecting', detail: left > 0 ? next : '' };
  }
}
