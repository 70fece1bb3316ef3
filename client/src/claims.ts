/** What a token says about itself, unverified; empty for one that cannot be read. */
export function claims(token: string | undefined): { sub?: unknown; iat?: unknown; nbf?: unknown } {
  try {
    const body = token?.split('.')[1] ?? '';
    return (JSON.parse(atob(body.replace(/-/g, '+').replace(/_/g, '/'))) ?? {}) as object;
  } catch {
    return {};
  }
}
