/**
 * A gateway in memory, for tests of what uses `@tallywire/client`.
 *
 * @module
 */
export { createTestServer, TestServer } from './server.js';
export type { FailOptions, TestConnection, TestEvent } from './server.js';
export type { Received, TestServerOptions } from './hub.js';
export type { ErrorCode, Frame, MemberState, ResetReason } from './frames.js';
export type { FrameFilter, TransportKind } from './network.js';
export type { TestWebSocket } from './socket.js';
export type { TokenClaims } from './tokens.js';
