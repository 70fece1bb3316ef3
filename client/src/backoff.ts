/** Full jitter: a random time in milliseconds below a bound that doubles with every failure, the first one being 0. */
export function jitter(minMs: number, maxMs: number, failures: number): number {
  return Math.random() * Math.min(maxMs, minMs * 2 ** failures);
}

/** A random time between low and high. */
export function between(low: number, high: number): number {
  return low + Math.random() * (high - low);
}
