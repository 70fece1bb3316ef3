/** A position in a channel's log: `<offset>-<stamp>`, as in `42-1795514042000000`. `"0"` is before the first entry ever. */
export type Cursor = string;

/** The types a map of events knows. */
export type EventType<M> = keyof M & string;

/** The data of an event type: what the map says, and `unknown` for a type that it does not know. */
export type DataOf<M, T extends string> = T extends keyof M ? M[T] : unknown;

/** One event of a channel. It is never changed and may be kept. */
export interface ChannelEvent<T extends string = string, D = unknown> {
  readonly channel: string;
  /** Where the event stands in the channel's log. */
  readonly cursor: Cursor;
  /** How many events between the last one delivered to this subscription and this one were left out on purpose. */
  readonly skipped: number;
  readonly type: T;
  readonly data: D;
  /** The event's id; channel and cursor where the publisher gave none. */
  readonly id: string;
  /** The publisher; the channel where the publisher said none. */
  readonly source: string;
  /** What the event is about, where the publisher said so. */
  readonly subject: string | undefined;
  /** When it happened as the publisher says, or else when it was appended (RFC 3339). */
  readonly time: string;
  /** All attributes as they were received, `data` and extensions included. */
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** An ephemeral event: it has no place in the log and may be lost. */
export interface Signal<T extends string = string, D = unknown> {
  readonly channel: string;
  readonly type: T;
  readonly data: D;
  readonly source: string | undefined;
  readonly subject: string | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** Why events may be missing. */
export type ResetReason = 'trimmed' | 'forked' | 'expired' | 'forbidden';

/** Events may be missing: reload what is shown. The events after `cursor` follow, except after `forbidden`. */
export interface Reset {
  readonly channel: string;
  /** A reason that this version of the package does not know is passed through. */
  readonly reason: ResetReason | (string & {});
  readonly cursor: Cursor | undefined;
  readonly head: Cursor | undefined;
}

/** What is given to publish. */
export type EventInput<T extends string = string, D = unknown> = {
  readonly type: T;
  /** Makes the publish idempotent; made up once where it is missing. */
  readonly id?: string;
  readonly source?: string;
  readonly subject?: string;
  readonly time?: string;
  /** Extension attributes, put beside the others. */
  readonly extensions?: Readonly<Record<string, unknown>>;
} & (unknown extends D ? { readonly data?: D } : { readonly data: D });

/** How durable a publish is, or has to be, before it is answered. */
export type Ack = 'stored' | 'replicated';

/** The answer to a publish. */
export interface Published {
  readonly channel: string;
  readonly id: string;
  readonly cursor: Cursor;
  readonly ack: Ack;
  /** The event was in the log already, at `cursor`. */
  readonly duplicate: boolean;
}
