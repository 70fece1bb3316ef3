import { forget, nextFrame } from './frame.js';

/** A store as React reads it. */
export interface Readable<S> {
  /** Calls back when `get` returns something else; returns its undo. */
  listen(this: void, listener: () => void): () => void;
  get(this: void): S;
  /** What servers and the first render in a browser show: the same object each time. */
  readonly initial: S;
}

/** A store that shows its changes once a frame, all together. */
export interface FrameStore<S> extends Readable<S> {
  /** Changes the state; it shows at the next frame, or at once where a person has clicked. */
  set(this: void, change: (state: S) => S, now?: boolean): void;
}

/** What feeds a store while somebody listens; returns its undo. */
export type Feed<S> = (set: FrameStore<S>['set']) => () => void;

/**
 * Makes a store. The feed begins with the first listener; what it sets before it returns shows at once. It ends with the last
 * listener, or `lingerMs` later, so that a component that comes back meanwhile finds all as it was; then `ended` is called.
 */
export function frameStore<S>(initial: S, feed?: Feed<S>, lingerMs = 0, ended?: () => void): FrameStore<S> {
  const listeners = new Set<() => void>();
  let shown = initial;
  let next = initial; // ahead of what is shown
  let stop: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const show = (): void => {
    if (Object.is(shown, next)) return;
    shown = next;
    for (const listener of [...listeners]) listener();
  };
  const set: FrameStore<S>['set'] = (change, now) => {
    next = change(next);
    if (now) show();
    else if (listeners.size) nextFrame(show);
  };
  const end = (): void => {
    stop?.();
    stop = undefined;
    ended?.();
  };
  return {
    initial,
    set,
    get: () => shown,
    listen(listener) {
      clearTimeout(timer);
      stop ??= feed?.(set);
      if (!listeners.size) shown = next; // React looks again after it has subscribed
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        if (listeners.size) return;
        forget(show);
        if (lingerMs) timer = setTimeout(end, lingerMs);
        else end();
      };
    },
  };
}

/** Shows what something else holds, now and when that says that it has changed; returns its undo. */
export function mirror<S>(set: FrameStore<S>['set'], get: () => S, listen: (listener: () => void) => () => void): () => void {
  const take = (): void => set(get);
  const undo = listen(take);
  take();
  return undo;
}
