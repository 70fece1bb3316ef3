import type { EventMap } from '@tallywire/client';
import { useConnectionStatus, useEvent } from '@tallywire/client/react';
import { useState, type ReactNode } from 'react';
import { useNow } from '../ui/useNow';
import { ago } from '../ui/format';
import { Icon } from '../ui/Icon';
import { usePopover } from '../ui/usePopover';

type Status = EventMap['system.status'];

const SAID: Record<Status['status'], { text: string; tone: string; rank: number }> = {
  operational: { text: 'Operational', tone: 'good', rank: 0 },
  maintenance: { text: 'Maintenance', tone: 'info', rank: 1 },
  degraded: { text: 'Degraded', tone: 'warn', rank: 2 },
  partial_outage: { text: 'Partial outage', tone: 'bad', rank: 3 },
  outage: { text: 'Outage', tone: 'bad', rank: 4 },
};

/** The newest status of each component, the worst one in front. */
export function SystemStatus(): ReactNode {
  const [components, setComponents] = useState<ReadonlyMap<string, Status>>(new Map());
  useEvent('system:status', 'system.status', ({ data }) => setComponents((now) => new Map(now).set(data.component, data)), {
    from: '0',
    onReset: ({ reason }) => reason !== 'trimmed' && setComponents(new Map()),
  });
  const { open, root, toggle } = usePopover();
  const connected = useConnectionStatus({ select: (s) => s.status === 'live' || s.status === 'degraded' });
  const now = useNow();
  const list = [...components.values()].sort((a, b) => SAID[b.status].rank - SAID[a.status].rank || a.component.localeCompare(b.component));
  const [worst] = list;
  if (!worst) return null;
  const said = SAID[worst.status].rank === 0 ? 'All systems operational' : `${worst.component}: ${SAID[worst.status].text.toLowerCase()}`;
  const tone = (s: Status): string => (connected ? SAID[s.status].tone : 'idle'); // what was so need not be so
  return (
    <div className="popover-root system" ref={root}>
      <button
        type="button"
        className="button quiet"
        aria-expanded={open}
        aria-label={`System status${connected ? '' : ', as last known'}: ${said}`}
        onClick={toggle}
      >
        <span className="dot" data-tone={tone(worst)} aria-hidden="true" />
        <span className="wide">{connected ? said : `Last known: ${said.toLowerCase()}`}</span>
        <span className="narrow">{SAID[worst.status].text}</span>
        <Icon name="pulse" />
      </button>
      {open && (
        <div className="popover" role="group" aria-label="System status">
          <ul className="statuses">
            {list.map((s) => (
              <li key={s.component}>
                <span className="dot" data-tone={tone(s)} aria-hidden="true" />
                <span>
                  <strong>{s.component}</strong> {SAID[s.status].text}
                  <span className="sub">
                    {s.message} {s.since && <time dateTime={s.since}>{ago(s.since, now)}</time>}
                  </span>
                </span>
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}
