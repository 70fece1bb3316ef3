import type { TallywireError } from '../error.js';

/** A JSON value of at most 4 KB: what a member is looking at. */
export type PresenceStatus = unknown;

/** A user in a channel, however many tabs and devices there. */
export interface Member<S = PresenceStatus> {
  readonly user: string;
  readonly name?: string;
  /** `grace`: none of its sessions is connected now. */
  readonly state: 'live' | 'grace';
  /** RFC 3339. */
  readonly since: string;
  readonly sessions: number;
  readonly status?: S;
}

/** An immutable snapshot: it is the same object until something has changed. */
export interface Members<S = PresenceStatus> {
  /** False until the gateway has said who is there. */
  readonly known: boolean;
  /** Members and sessions of the whole channel. */
  readonly count: number;
  readonly sessions: number;
  /** Ordered by user; at most the first 1,000 where the channel has more. */
  readonly members: readonly Member<S>[];
  /** The gateway's store is away, or the connection is: this is what was known then. */
  readonly stale: boolean;
  readonly error: TallywireError | undefined;
}

/**
 * The session's presence in a channel, as one part of the program wants it. Several handles in one channel
 * are one presence: it ends when the last of them leaves, and the status set last among those that stay counts.
 */
export interface PresenceHandle<S = PresenceStatus> {
  readonly channel: string;
  /**
   * Makes the session present, again after each reconnect, until `leave`. Without a status the one that the session has stays; null takes
   * it away. Resolves when the gateway's store has it.
   */
  enter(status?: S | null): Promise<void>;
  /** Changes the status; enters where the handle has not. Several at once are conflated: the last counts. */
  update(status: S | null): Promise<void>;
  /** Resolves when the gateway's store has it; at once where there is nothing to leave. */
  leave(): Promise<void>;
  getMembers(): Members<S>;
  /** Calls back when the members have changed; returns its undo. Members are followed while there is a listener. */
  onMembers(listener: () => void): () => void;
}
