import { useEffect, useLayoutEffect, useRef, type RefObject } from 'react';

/** Before anything can call back, and not on servers, which have no layout. */
export const useEarlyEffect = typeof document === 'undefined' ? useEffect : useLayoutEffect;

/** Keeps the newest value of what components write inline, so that effects need not begin anew for it. */
export function useNewest<T>(value: T): RefObject<T> {
  const ref = useRef(value);
  useEarlyEffect(() => {
    ref.current = value;
  });
  return ref;
}
