import type { Failure } from './frames.js';

/** What a token allows. Patterns are names of channels; a `*` at the end stands for any rest, `$user` for the subject. */
export interface TokenClaims {
  /** The subject (default: the server's `user`). */
  user?: string;
  /** The name that members see (default: the subject). */
  name?: string;
  /** Lifetime in milliseconds (default: the server's `tokenTtlMs`). `Infinity` for a token that does not expire. */
  ttlMs?: number;
  /** Channels by what may be done there (default: everything everywhere). */
  subscribe?: readonly string[];
  publish?: readonly string[];
  presence?: readonly string[];
}

/** The actions that a token may allow. */
export type Action = 'subscribe' | 'publish' | 'presence';

/** Who a connection is, and what it may do. */
export interface Principal {
  readonly token: string;
  readonly user: string;
  readonly name: string;
  /** Milliseconds since 1970; `Infinity` for never. */
  readonly expires: number;
  readonly may: (action: Action, channel: string) => boolean;
}

interface Claims extends Record<Action, readonly string[]> {
  user: string;
  name: string | undefined;
  expires: number;
}

const everywhere = ['*'];

/** Issues and judges tokens. No token, and one that it did not issue, are the default user's and allow everything. */
export class Tokens {
  #issued = new Map<string, Claims>();
  #strangers = new Map<string, number>();
  #revoked = new Set<string>();
  #count = 0;
  readonly #now: () => number;
  readonly #user: string;
  readonly #ttlMs: number;
  readonly #required: boolean;

  constructor(o: { now: () => number; user: string; ttlMs: number; required: boolean }) {
    this.#required = o.required;
    this.#now = o.now;
    this.#user = o.user;
    this.#ttlMs = o.ttlMs;
  }

  /** Returns a token that looks like a JWT, so that a client may read its `exp`. */
  issue(claims: TokenClaims): string {
    const expires = this.#now() + (claims.ttlMs ?? this.#ttlMs);
    const user = claims.user ?? this.#user;
    const exp = Number.isFinite(expires) ? { exp: Math.floor(expires / 1000) } : {};
    const head = base64url({ alg: 'none', typ: 'JWT' });
    const token = `${head}.${base64url({ sub: user, jti: String(++this.#count), ...exp })}.`;
    this.#issued.set(token, {
      user,
      name: claims.name,
      expires,
      subscribe: claims.subscribe ?? everywhere,
      publish: claims.publish ?? everywhere,
      presence: claims.presence ?? everywhere,
    });
    return token;
  }

  /** Tells who a token makes of its bearer, or why it is not accepted. */
  judge(token = ''): Principal | Failure {
    if (token === '' && this.#required) return { code: 'unauthorized', message: 'a token is required' };
    const claims = this.#issued.get(token);
    const expires = claims?.expires ?? this.#strangers.get(token) ?? Infinity;
    if (this.#revoked.has(token)) return { code: 'token_revoked', message: 'the token was revoked' };
    if (expires <= this.#now()) return { code: 'token_expired', message: 'the token has expired' };
    if (!claims && token !== '') this.#strangers.set(token, Infinity);
    const user = claims?.user ?? this.#user;
    const may = (action: Action, channel: string): boolean =>
      (claims?.[action] ?? everywhere).some((pattern) => covers(pattern, channel, user));
    return { token, user, name: claims?.name ?? user, expires, may };
  }

  /** Makes every token that was issued or shown so far an expired one. */
  expireAll(): void {
    const now = this.#now();
    for (const claims of this.#issued.values()) claims.expires = Math.min(claims.expires, now);
    for (const token of this.#strangers.keys()) this.#strangers.set(token, now);
  }

  /** Revokes a token. */
  revoke(token: string): void {
    this.#revoked.add(token);
  }
}

/** Tells a principal from a failure. */
export function isPrincipal(p: Principal | Failure): p is Principal {
  return 'may' in p;
}

function covers(pattern: string, channel: string, user: string): boolean {
  const own = pattern
    .split(':')
    .map((part) => (part === '$user' ? user : part))
    .join(':');
  return own.endsWith('*') ? channel.startsWith(own.slice(0, -1)) : channel === own;
}

function base64url(part: object): string {
  const binary = String.fromCharCode(...new TextEncoder().encode(JSON.stringify(part)));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
