/** Full jitter: a random time below a bound that doubles with every attempt. */
export interface Backoff {
  /** Milliseconds to wait before the next attempt. */
  next(): number;
  /** Begins anew. */
  reset(): void;
}

export function backoff(minMs: number, maxMs: number): Backoff {
  let attempts = 0;
  return {
    next: () => Math.random() * Math.min(maxMs, minMs * 2 ** Math.min(attempts++, 30)),
    reset: () => {
      attempts = 0;
    },
  };
}

/** A random time between low and high. */
export function between(low: number, high: number): number {
  return low + Math.random() * (high - low);
}
