/** What the page, or the process, is told by its surroundings. */
export type Moment =
  /** The network is there again, or the page is looked at again or thawed: now is the time to try. */
  | 'wake'
  /** The network may be gone. */
  | 'offline';

/** Calls back at such moments; returns its undo. Where there is no page there are none. */
export function onMoments(listener: (moment: Moment) => void): () => void {
  const page = globalThis as Partial<Pick<Window, 'addEventListener' | 'removeEventListener' | 'document'>>;
  const doc = page.document;
  const wake = () => listener('wake');
  const offline = () => listener('offline');
  const visible = () => {
    if (doc?.visibilityState === 'visible') wake();
  };
  const each = (method: 'addEventListener' | 'removeEventListener') => {
    page[method]?.('online', wake);
    page[method]?.('pageshow', wake);
    page[method]?.('offline', offline);
    doc?.[method]('visibilitychange', visible);
    doc?.[method]('resume', wake);
  };
  each('addEventListener');
  return () => each('removeEventListener');
}
