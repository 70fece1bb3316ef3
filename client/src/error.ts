/** The codes that the client itself makes up; all others are the gateway's, listed in the protocol. */
export type ClientErrorCode =
  /** `close()` was called. */
  | 'closed'
  /** The caller's AbortSignal fired. */
  | 'aborted'
  /** As many publishes wait as `offlineQueue` allows. */
  | 'queue_full'
  /** No connection, or it broke. */
  | 'network'
  /** Nothing was heard in time. */
  | 'timeout'
  /** An answer that is none of a gateway's; `status` is the HTTP status, if there was one. */
  | 'bad_answer'
  /** The token source failed; `cause` is what it threw. */
  | 'token_failed'
  /** A handler or listener threw; `cause` is what. */
  | 'handler_failed'
  /** The gateway sent what neither follows nor repeats what it sent before. The client resumes from the last good cursor. */
  | 'violation'
  /** What was asked for cannot be: a bad argument, or something that this environment lacks. */
  | 'invalid_argument';

/** Details of an error. */
export interface ErrorDetails {
  /** The same request may succeed later. */
  retry?: boolean | undefined;
  channel?: string | undefined;
  /** A JSON pointer into the frame or event that was refused. */
  path?: string | undefined;
  /** The HTTP status, or the WebSocket's close code. */
  status?: number | undefined;
  /** How long the server asks to stay away, in milliseconds. */
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

/** Everything that the package throws, rejects with or reports. `code` is stable; `message` is for people. */
export class TallywireError extends Error {
  override readonly name = 'TallywireError';
  declare readonly code: ClientErrorCode | (string & {});
  declare readonly retry: boolean;
  declare readonly channel: string | undefined;
  declare readonly path: string | undefined;
  declare readonly status: number | undefined;
  declare readonly retryAfterMs: number | undefined;

  constructor(code: ClientErrorCode | (string & {}), message: string, { cause, ...details }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    Object.assign(this, { retry: false }, details, { code });
  }
}

/** What a frame or a problem says about an error. */
export type Refusal = Pick<ErrorDetails, 'retry' | 'channel' | 'path'> & { readonly code?: string; readonly message?: string };

/** The error that a frame, or a problem over HTTP, tells. */
export function refusal(
  { code = 'bad_answer', message, retry = false, channel, path }: Refusal,
  more?: ErrorDetails,
): TallywireError {
  return new TallywireError(code, message ?? code, { retry, channel, path, ...more });
}

/** Reports whether only another token helps. */
export function needsToken(error: TallywireError): boolean {
  return error.status === 401 || /^(unauthorized|token_)/.test(error.code);
}
