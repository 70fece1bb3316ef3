import { formatCursor, type Position } from './cursor.js';

/** A frame as it goes over the wire, either way. */
export interface Frame {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** What answers repeat: a number or a text, or nothing where the client gave none. */
export type FrameId = string | number | undefined;

/** Why a subscriber may have lost events, or gets no more of them. */
export type ResetReason = 'trimmed' | 'forked' | 'expired' | 'forbidden';

/** Error codes of the protocol. */
export type ErrorCode =
  | 'invalid_frame' | 'unknown_type' | 'frame_too_large' | 'not_connected' | 'already_connected'
  | 'unauthorized' | 'token_expired' | 'token_revoked' | 'keys_unavailable' | 'forbidden'
  | 'invalid_channel' | 'invalid_cursor' | 'invalid_since' | 'invalid_event' | 'invalid_request'
  | 'not_found' | 'not_subscribed' | 'status_too_large' | 'too_many_subscriptions' | 'rate_limited'
  | 'overloaded' | 'unavailable' | 'refused' | 'unsupported' | 'host_not_allowed' | 'origin_not_allowed'
  | 'too_many_errors' | 'connect_timeout' | 'slow_consumer' | 'internal'
  | 'replaced' | 'out_of_order' | 'in_progress' | 'origin_required' | 'token_too_large' | 'unsupported_media_type'
  | 'request_timeout';

/** An answer that is no success. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly path?: string | undefined;
  readonly channel?: string | undefined;
}

/** A user in a channel, as members see it. */
export interface MemberState {
  readonly user: string;
  readonly name?: string | undefined;
  readonly state: 'live' | 'grace';
  readonly since: string;
  readonly sessions: number;
  readonly status?: unknown;
}

/** A page of a channel's members. */
export interface MembersPage {
  readonly version: number;
  readonly count: number;
  readonly sessions: number;
  readonly members: readonly MemberState[];
  readonly next?: string | undefined;
  /** The store is away, and this is what it said then. */
  readonly staleSinceMs?: number | undefined;
}

const retryable: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'rate_limited', 'overloaded', 'unavailable', 'keys_unavailable', 'internal', 'slow_consumer', 'in_progress',
  'request_timeout',
]);

/** A channel as the next poll may name it. `members` is the version of the members that the client has. */
export interface NextChannel {
  readonly channel: string;
  readonly cursor: Position | undefined;
  readonly presence: boolean;
  readonly members: number | undefined;
}

/** Whether the same request may succeed later. */
export function mayRetry(code: ErrorCode): boolean {
  return retryable.has(code);
}

/** Builds a frame with its fields in the order of the wire; those that are `undefined` are left out. */
function frame(type: string, fields: Record<string, unknown>): Frame {
  const out: Record<string, unknown> = { type };
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) out[name] = value;
  }
  return out as unknown as Frame;
}

/**
 * The frames of a gateway. Each function is one frame of docs/protocol.md, its fields in the order in which a
 * gateway writes them; a test holds them against the golden frames that the Go side writes.
 */
export const serverFrames = {
  connected: (id: FrameId, c: { session: string; user: string; gateway: string; pingMs: number; expires?: number | undefined }) =>
    frame('connected', { id, session: c.session, user: c.user, gateway: c.gateway, ping_ms: c.pingMs, expires: c.expires }),
  refreshed: (id: FrameId, expires: number) => frame('refreshed', { id, expires }),
  subscribed: (id: FrameId, channel: string, cursor: Position, head: Position, resumed: boolean) =>
    frame('subscribed', { id, channel, cursor: formatCursor(cursor), head: formatCursor(head), resumed }),
  unsubscribed: (id: FrameId, channel: string) => frame('unsubscribed', { id, channel }),
  published: (id: FrameId, r: { cursor?: Position | undefined; ack?: string | undefined; duplicate: boolean }) =>
    frame('published', { id, cursor: r.cursor && formatCursor(r.cursor), ack: r.ack, duplicate: r.duplicate }),
  reset: (channel: string, reason: ResetReason, cursor: Position, head: Position) =>
    frame('reset', { channel, reason, cursor: formatCursor(cursor), head: formatCursor(head) }),
  event: (channel: string, cursor: Position, event: unknown, skipped: number) =>
    frame('event', { channel, cursor: formatCursor(cursor), event, skipped: skipped || undefined }),
  skip: (channel: string, cursor: Position, skipped: number) =>
    frame('skip', { channel, cursor: formatCursor(cursor), skipped }),
  signal: (channel: string, event: unknown) => frame('signal', { channel, event }),
  members: (id: FrameId, channel: string, p: MembersPage) =>
    frame('members', {
      id, channel, version: p.version, count: p.count, sessions: p.sessions, members: p.members, next: p.next,
      stale_since_ms: p.staleSinceMs,
    }),
  member: (channel: string, version: number, prev: number, action: 'join' | 'update' | 'leave', member: MemberState) =>
    frame('member', { channel, version, prev, action, member }),
  present: (id: FrameId, channel: string) => frame('present', { id, channel }),
  moving: (afterMs: number) => frame('moving', { after_ms: afterMs }),
  degraded: (degraded: boolean, reason: string, sinceMs: number) =>
    frame('degraded', { degraded, reason: degraded ? reason : undefined, since_ms: sinceMs }),
  error: (id: FrameId, f: Failure) =>
    frame('error', { id, channel: f.channel, code: f.code, message: f.message, retry: mayRetry(f.code), path: f.path }),
  ping: () => frame('ping', {}),
  pong: () => frame('pong', {}),
  next: (n: { channels: readonly NextChannel[]; cursors: string; more: boolean; degraded: boolean }) =>
    frame('next', {
      channels: n.channels.map((c) => ({
        channel: c.channel, cursor: c.cursor && formatCursor(c.cursor), presence: c.presence || undefined, members: c.members,
      })),
      cursors: n.cursors, more: n.more || undefined, degraded: n.degraded || undefined,
    }),
};
