/** A page that was hidden for this long may be on another network. */
const AWAY_MS = 60_000;

/**
 * Calls back when the network is there again, or the page is looked at again or thawed: now is the time to try, `anew` where the
 * network may be another one; and when the network may be gone. Returns its undo. Where there is no page there are no such moments.
 */
export function onMoments(wake: (anew: boolean) => void, doubt: () => void): () => void {
  const page = globalThis as Partial<Pick<Window, 'addEventListener' | 'removeEventListener' | 'document'>>;
  const doc = page.document;
  let seen = Date.now();
  const online = () => wake(true);
  const again = () => wake(false);
  const visibility = () => {
    const now = Date.now();
    if (doc?.visibilityState === 'visible') wake(now - seen >= AWAY_MS);
    seen = now;
  };
  const each = (method: 'addEventListener' | 'removeEventListener') => {
    page[method]?.('online', online);
    page[method]?.('pageshow', again);
    page[method]?.('offline', doubt);
    doc?.[method]('visibilitychange', visibility);
    doc?.[method]('resume', again);
  };
  each('addEventListener');
  return () => each('removeEventListener');
}
