const waiting = new Set<() => void>();
let scheduled = false;

/**
 * Runs a task with the next frame; a hidden tab, which has no frames, gets a timer. The same task is run once, however often it
 * is asked for, so that what changes ten thousand times a second is rendered sixty times.
 */
export function nextFrame(task: () => void): void {
  waiting.add(task);
  if (scheduled) return;
  scheduled = true;
  if (typeof requestAnimationFrame === 'function' && !globalThis.document?.hidden) requestAnimationFrame(run);
  else setTimeout(run, 16);
}

/** Forgets a task that has not run yet. */
export function forget(task: () => void): void {
  waiting.delete(task);
}

function run(): void {
  scheduled = false;
  const tasks = [...waiting];
  waiting.clear();
  for (const task of tasks) task();
}
