import type { Position } from './cursor.js';
import type { ServerFrame } from './frame.js';
import type { Link } from './transport/link.js';

/** A channel that was asked for and has not been answered. */
export interface Ask {
  readonly id: number;
  /** The cursor that was asked for. */
  readonly sent: Position | undefined;
  /** Since when an answer is waited for; and that it has come, and waits for its turn. */
  since?: number;
  heard?: boolean;
}

/** One connection. */
export interface Conn {
  readonly link: Link;
  /** The last token that the gateway was given. */
  token: string | undefined;
  /** By channel. */
  readonly asks: Map<string, Ask>;
  /** When it was taken up; 0 before. */
  up: number;
  /** When the token expires, in seconds since 1970 by the gateway's clock. */
  expires: number | undefined;
  /** The last round trip. */
  rttMs: number | null;
}

/** What the rest of the client does with connections. */
export interface ConnectionHooks {
  /** One is being made: what it is to follow may be asked for already. */
  opening(c: Conn): void;
  /** It is the current one now. */
  attached(c: Conn): void;
  frames(c: Conn, frames: readonly ServerFrame[]): void;
  /** It is gone, or was let go. */
  lost(c: Conn): void;
  /** Something still comes from it that the current one has not taken over. */
  owes(c: Conn): boolean;
}
