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
  readonly code: ClientErrorCode | (string & {});
  readonly retry: boolean;
  readonly channel: string | undefined;
  readonly path: string | undefined;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ClientErrorCode | (string & {}), message: string, d: ErrorDetails = {}) {
    super(message, d.cause === undefined ? undefined : { cause: d.cause });
    this.code = code;
    this.retry = d.retry ?? false;
    this.channel = d.channel;
    this.path = d.path;
    this.status = d.status;
    this.retryAfterMs = d.retryAfterMs;
  }
}

/** The error that a frame, or a problem over HTTP, tells. */
export function refusal(
  f: { code?: unknown; message?: unknown; detail?: unknown; retry?: unknown; channel?: unknown; path?: unknown },
  more: ErrorDetails = {},
): TallywireError {
  const text = (v: unknown) => (typeof v === 'string' ? v : undefined);
  return new TallywireError(text(f.code) ?? 'bad_answer', text(f.message) ?? text(f.detail) ?? 'no reason given', {
    retry: f.retry === true,
    channel: text(f.channel),
    path: text(f.path),
    ...more,
  });
}

/** Reports whether only another token helps. */
export function needsToken(error: TallywireError): boolean {
  return error.status === 401 || /^(unauthorized|token_(expired|revoked|failed))$/.test(error.code);
}
