import type { EventMap } from '../events/index.js';

/**
 * Tells the hooks about event types of your own:
 *
 * ```ts
 * declare module '@tallywire/client/react' {
 *   interface Register { events: EventMap & { 'invoice.paid': { invoice: string } } }
 * }
 * ```
 */
export interface Register {}

/** The events of a register: the built-in ones where it names none. */
export type EventsOf<R> = R extends { events: infer M } ? M : EventMap;

/** The event types that the hooks know, and their data. */
export type Events = EventsOf<Register>;
