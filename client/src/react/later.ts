const timers = new WeakMap<object, ReturnType<typeof setTimeout>>();

/**
 * Ends something in a moment, unless it is kept: StrictMode, and a component that comes in another's place, are back at once.
 */
export function endLater(it: object, end: () => unknown): void {
  timers.set(it, setTimeout(end));
}

export function keep(it: object): void {
  clearTimeout(timers.get(it));
}
