/** Who wants to be called. */
export interface Listeners<A extends unknown[] = []> {
  /** Adds a listener and returns its undo. */
  add(listener: (...args: A) => void): () => void;
  /** Calls all; one that throws does not keep the others from being called. */
  call(...args: A): void;
}

/** A set of listeners; onThrow is given what they throw. */
export function listeners<A extends unknown[] = []>(onThrow: (cause: unknown) => void): Listeners<A> {
  // Wrapped, so that one function may listen twice.
  const all = new Set<{ fn: (...args: A) => void }>();
  return {
    add(fn) {
      const entry = { fn };
      all.add(entry);
      return () => void all.delete(entry);
    },
    call(...args) {
      for (const { fn } of [...all]) {
        try {
          fn(...args);
        } catch (cause) {
          onThrow(cause);
        }
      }
    },
  };
}
