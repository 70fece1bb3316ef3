import type { ConnectionStatus } from './types/index.js';

/** The status of a session that has not begun; on servers there is no session. */
export function idle(session = ''): ConnectionStatus {
  return {
    status: 'idle',
    transport: null,
    latencyMs: null,
    lastError: null,
    retryAt: null,
    user: null,
    session,
    gateway: null,
  };
}
