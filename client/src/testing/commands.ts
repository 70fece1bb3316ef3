import type { ClientFrame } from './decode.js';
import { serverFrames, type Failure, type Frame } from './frames.js';
import type { Hub } from './hub.js';
import type { Principal } from './tokens.js';

const maxEventBytes = 64 << 10;
const maxStatusBytes = 4 << 10;

/** Who sends a command, and where its answers go. */
export interface Caller {
  readonly hub: Hub;
  readonly session: string;
  readonly principal: Principal;
  reply(frame: Frame): void;
  /** Makes the session present in a channel, or changes its status there. */
  enter(channel: string, status: unknown): void;
  /** Ends it; false where the session is not present. */
  leave(channel: string): boolean;
}

/** Does a command that every transport takes; false where it is none of them. */
export function execute(caller: Caller, f: ClientFrame): boolean {
  switch (f.type) {
    case 'publish':
      publish(caller, f);
      return true;
    case 'signal':
      signal(caller, f);
      return true;
    case 'presence':
      presence(caller, f);
      return true;
    case 'members':
      members(caller, f);
      return true;
    case 'ping':
      caller.reply(serverFrames.pong());
      return true;
    case 'pong':
      return true;
    default:
      return false;
  }
}

/** Says what is wrong with a channel's name. */
export function channelProblem(channel: string | undefined): Failure | undefined {
  if (channel && /^[A-Za-z0-9.:-][A-Za-z0-9_.:-]{0,127}$/.test(channel)) return undefined;
  const message = 'invalid channel name: allowed are 1 to 128 of A-Z a-z 0-9 _ . : - without a leading _';
  return { code: 'invalid_channel', message, path: '/channel', channel: channel ? channel.slice(0, 128) : undefined };
}

/** Says why a token's bearer may not take part in the presence of a channel. */
export function presenceProblem(principal: Principal, channel: string | undefined): Failure | undefined {
  const failure = channelProblem(channel);
  if (failure || principal.may('presence', channel ?? '')) return failure;
  return { code: 'forbidden', message: 'the token does not allow presence in this channel', channel };
}

function publish(caller: Caller, f: ClientFrame): void {
  const event = prepare(caller, f, 'publish');
  if (!event) return;
  const { hub, principal } = caller;
  const channel = f.channel ?? '';
  const source = typeof event['source'] === 'string' ? event['source'] : principal.user;
  const id = typeof event['id'] === 'string' ? `${source}/${event['id']}` : undefined;
  const stored = hub.log(channel).publish({ source, ...event }, id);
  caller.reply(serverFrames.published(f.id, { cursor: stored.at, ack: f.ack ?? 'stored', duplicate: stored.duplicate }));
  hub.pump(channel);
}

function signal(caller: Caller, f: ClientFrame): void {
  const event = prepare(caller, f, 'signal');
  if (!event) return;
  caller.hub.signal(f.channel ?? '', { source: caller.principal.user, ...event });
  if (f.id !== undefined) caller.reply(serverFrames.published(f.id, { duplicate: false }));
}

/** Returns the event of a frame if it may be published; otherwise answers why not. */
function prepare(caller: Caller, f: ClientFrame, type: string): Record<string, unknown> | undefined {
  const failure = caller.hub.failure(type, f.channel) ?? publishProblem(caller, f);
  if (!failure) return f.event as Record<string, unknown>;
  caller.reply(serverFrames.error(f.id, failure));
  return undefined;
}

function publishProblem(caller: Caller, f: ClientFrame): Failure | undefined {
  const { channel = '', event, ack } = f;
  const failure = channelProblem(channel);
  if (failure) return failure;
  if (!caller.principal.may('publish', channel)) {
    return { code: 'forbidden', message: 'the token does not allow to publish to this channel', channel };
  }
  if (ack !== undefined && ack !== 'stored' && ack !== 'replicated') {
    return { code: 'invalid_frame', message: 'ack: must be stored or replicated', path: '/ack' };
  }
  const invalid = (message: string, path = ''): Failure => ({ code: 'invalid_event', message, path: path || undefined, channel });
  if (event === undefined) return invalid('event: is required');
  if (typeof event !== 'object' || event === null || Array.isArray(event)) return invalid('event: must be an object');
  const { type } = event as { type?: unknown };
  if (typeof type !== 'string' || !/^[A-Za-z0-9_.-]{1,128}$/.test(type)) {
    return invalid('type: must be 1 to 128 of A-Z a-z 0-9 _ . -', '/type');
  }
  if (byteLength(event) > maxEventBytes) return invalid('larger than 64 KB');
  const rule = caller.hub.validate?.(channel, { ...event, type });
  return rule && invalid(rule.message, rule.path);
}

function presence(caller: Caller, f: ClientFrame): void {
  const { channel = '' } = f;
  const refuse = (failure: Failure): void => caller.reply(serverFrames.error(f.id, failure));
  const failure = caller.hub.failure('presence', channel) ?? presenceProblem(caller.principal, channel);
  if (failure) {
    refuse(failure);
    return;
  }
  if (f.status !== undefined && byteLength(f.status) > maxStatusBytes) {
    refuse({ code: 'status_too_large', message: 'status: has more than 4096 bytes', path: '/status', channel });
    return;
  }
  if (!f.leave) caller.enter(channel, f.status);
  else if (!caller.leave(channel)) {
    refuse({ code: 'not_subscribed', message: 'the session is not present in this channel', channel });
    return;
  }
  if (f.id !== undefined) caller.reply(serverFrames.present(f.id, channel));
}

function members(caller: Caller, f: ClientFrame): void {
  const { channel = '' } = f;
  const failure = caller.hub.failure('members', channel) ?? presenceProblem(caller.principal, channel);
  if (failure) caller.reply(serverFrames.error(f.id, failure));
  else caller.reply(serverFrames.members(f.id, channel, caller.hub.roster.page(channel, f.after, f.limit)));
}

function byteLength(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}
