/** A name that nobody else has. randomUUID is missing on pages without TLS. */
export function randomName(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
}
