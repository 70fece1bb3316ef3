/**
 * Calls back when the network is there again, or the page is looked at again or thawed: now is the time to try; and
 * when the network may be gone. Returns its undo. Where there is no page there are no such moments.
 */
export function onMoments(wake: () => void, doubt: () => void): () => void {
  const page = globalThis as Partial<Pick<Window, 'addEventListener' | 'removeEventListener' | 'document'>>;
  const doc = page.document;
  const visible = () => {
    if (doc?.visibilityState === 'visible') wake();
  };
  const each = (method: 'addEventListener' | 'removeEventListener') => {
    page[method]?.('online', wake);
    page[method]?.('pageshow', wake);
    page[method]?.('offline', doubt);
    doc?.[method]('visibilitychange', visible);
    doc?.[method]('resume', wake);
  };
  each('addEventListener');
  return () => each('removeEventListener');
}
