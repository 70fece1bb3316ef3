const waiting = new Set<() => void>();
let cancel: (() => void) | undefined;

/**
 * Runs a task with the next frame; a hidden tab, which has no frames, gets a timer. The same task is run once, however often it
 * is asked for, so that what changes ten thousand times a second is rendered sixty times.
 */
export function nextFrame(task: () => void): void {
  waiting.add(task);
  if (cancel) return;
  const frames = typeof requestAnimationFrame === 'function' && !globalThis.document?.hidden;
  const id = frames ? requestAnimationFrame(run) : setTimeout(run, 16);
  cancel = () => (frames ? cancelAnimationFrame(id as number) : clearTimeout(id));
}

/** Forgets a task that has not run yet. */
export function forget(task: () => void): void {
  waiting.delete(task);
  if (waiting.size) return;
  cancel?.();
  cancel = undefined;
}

function run(): void {
  cancel = undefined;
  const tasks = [...waiting];
  waiting.clear();
  for (const task of tasks) task();
}
