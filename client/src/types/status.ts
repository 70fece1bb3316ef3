import type { TallywireError } from '../error.js';
import type { TransportName } from './options.js';

/**
 * - `idle`: nothing has been asked of the client yet
 * - `connecting`: the first connection is being made
 * - `live`: events arrive as they happen
 * - `degraded`: connected, but the gateway says that events are late; none is lost
 * - `reconnecting`: the connection is gone and the next one is being made, at `retryAt`
 * - `closed`: by `close()`
 */
export type ConnectionState = 'idle' | 'connecting' | 'live' | 'degraded' | 'reconnecting' | 'closed';

/** An immutable snapshot: it is the same object until something has changed. */
export interface ConnectionStatus {
  readonly status: ConnectionState;
  /** What carries the connection; null without one. */
  readonly transport: TransportName | null;
  /** The last round trip in milliseconds. */
  readonly latencyMs: number | null;
  /** Why the last connection or attempt ended; null again once connected. */
  readonly lastError: TallywireError | null;
  /** When the next attempt is made (milliseconds since 1970, local clock); null unless waiting. */
  readonly retryAt: number | null;
  /** The token's subject, once connected. */
  readonly user: string | null;
  readonly session: string;
  readonly gateway: string | null;
}
