import type { EventMap } from '@tallywire/client';
import { useEvent } from '@tallywire/client/react';
import { useEffect, useState, type ReactNode } from 'react';
import { Icon } from '../ui/Icon';
import { SEVERITY } from './severity';
import { Title, type Leads } from './Title';

interface Toast {
  readonly key: string;
  readonly data: EventMap['notification.raised'];
  readonly subject: string | undefined;
}

const MOST = 3;
const SHOWN_MS = 6_000;

/** What is raised while one looks. Errors stay until they are closed. */
export function Toasts(leads: Leads): ReactNode {
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  useEvent('notifications:ops', 'notification.raised', ({ cursor, data, subject }) =>
    setToasts((now) => [...now, { key: cursor, data, subject }].slice(-MOST)),
  );
  const close = (key: string): void => setToasts((now) => now.filter((t) => t.key !== key));
  return (
    <div className="toasts" role="status" aria-live="polite" aria-relevant="additions">
      {toasts.map((toast) => (
        <ToastCard key={toast.key} toast={toast} close={close} {...leads} />
      ))}
    </div>
  );
}

interface CardProps extends Leads {
  toast: Toast;
  close(key: string): void;
}

function ToastCard({ toast: { key, data, subject }, close, jobs, choose }: CardProps): ReactNode {
  const [held, setHeld] = useState(false);
  const lasting = data.severity === 'error' || data.severity === 'critical';
  useEffect(() => {
    if (held || lasting) return;
    const timer = setTimeout(() => close(key), SHOWN_MS);
    return () => clearTimeout(timer);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `close` does the same each time
  }, [held, lasting, key]);
  return (
    <div
      className="toast"
      data-severity={data.severity}
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      <Icon name={SEVERITY[data.severity].icon} />
      <div>
        <p className="title">
          <span className="hidden">{SEVERITY[data.severity].word}: </span>
          <Title
            text={data.title}
            subject={subject}
            jobs={jobs}
            choose={(job) => {
              choose(job);
              close(key);
            }}
          />
        </p>
        <p>{data.body}</p>
      </div>
      <button type="button" className="button quiet icon-only" aria-label={`Close: ${data.title}`} onClick={() => close(key)}>
        <Icon name="close" size={14} />
      </button>
    </div>
  );
}
