/** How long handlers may run before the page gets its turn, in milliseconds. */
const SLICE_MS = 12;
/** How many items wait at most. */
const MAX_QUEUE = 50_000;

/** Runs items in order, in slices between which timers, input and rendering have their turn. */
export interface Dispatcher<T> {
  /** Adds items and begins at once. False when there is no room: then none of them is taken. */
  push(items: readonly T[]): boolean;
  /** Drops what waits. */
  clear(): void;
}

/**
 * @param run takes an item; it must not throw
 * @param after is called after each slice, with whether nothing waits any more
 */
export function dispatcher<T>(run: (item: T) => void, after: (idle: boolean) => void): Dispatcher<T> {
  let queue: T[] = [];
  let next = 0;
  let active = false; // a slice runs, or is to come

  function slice(): void {
    const until = performance.now() + SLICE_MS;
    while (next < queue.length) {
      run(queue[next++] as T);
      if (performance.now() >= until) break;
    }
    const idle = next >= queue.length;
    if (idle || next > 4_096) {
      queue = queue.slice(next);
      next = 0;
    }
    active = !idle;
    after(idle);
    if (!idle) later(slice);
  }

  return {
    push(items) {
      if (queue.length - next + items.length > MAX_QUEUE && queue.length > 0) return false;
      queue.push(...items);
      if (!active) {
        active = true;
        slice();
      }
      return true;
    },
    clear() {
      queue = [];
      next = 0;
    },
  };
}

/** Gives way and comes back soon, also in a hidden page, whose timers are slow. */
function later(fn: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    fn();
  };
  port2.postMessage(0);
}
