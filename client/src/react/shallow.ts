/** Compares arrays and plain objects by their entries; for selectors that return a new one each time. */
export function shallow<T>(a: T, b: T): boolean {
  if (Object.is(a, b)) return true;
  if (Object(a) !== a || Object(b) !== b) return false;
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(x);
  return keys.length === Object.keys(y).length && keys.every((k) => k in y && Object.is(x[k], y[k]));
}
