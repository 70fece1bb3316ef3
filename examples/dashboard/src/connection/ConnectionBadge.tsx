import { useConnectionStatus } from '@tallywire/client/react';
import { useEffect, useState, useSyncExternalStore, type ReactNode } from 'react';
import { useNow } from '../ui/useNow';
import { say } from './state';

function listenOnline(listener: () => void): () => void {
  addEventListener('online', listener);
  addEventListener('offline', listener);
  return () => {
    removeEventListener('online', listener);
    removeEventListener('offline', listener);
  };
}

/** Since when there is no connection; null while there is one. */
export function useLostAt(): number | null {
  const up = useConnectionStatus({ select: (s) => s.status === 'live' || s.status === 'degraded' });
  const [lost, setLost] = useState<number | null>(null);
  const [wasUp, setWasUp] = useState(false);
  useEffect(() => {
    if (up) setWasUp(true);
    setLost(up || !wasUp ? null : Date.now());
    // eslint-disable-next-line react-hooks/exhaustive-deps -- only a change of `up` counts
  }, [up]);
  return lost;
}

/** Tells how things stand with the connection. Only the title is announced: the rest changes every second. */
export function ConnectionBadge(): ReactNode {
  const status = useConnectionStatus();
  const online = useSyncExternalStore(listenOnline, () => navigator.onLine);
  const { tone, title, detail } = say(status, useLostAt(), online, useNow());
  return (
    <div className="badge" data-tone={tone} data-testid="connection" title={detail}>
      <span className="dot" aria-hidden="true" />
      <strong role="status" aria-live="polite">
        {title}
      </strong>
      <span className="badge-detail">{detail}</span>
    </div>
  );
}
