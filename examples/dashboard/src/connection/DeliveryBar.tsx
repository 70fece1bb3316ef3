import { useClient, useConnectionStatus } from '@tallywire/client/react';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { clock, integer } from '../ui/format';
import { useNow } from '../ui/useNow';
import type { DeliveryAccount } from './account';
import { useLostAt } from './ConnectionBadge';
import { account } from './realtime';

/** The page's own count of what it was sent, and of what it was not. */
export function DeliveryBar(): ReactNode {
  useNow(); // by the second is often enough
  const now = account.read();
  const [details, setDetails] = useState(false);
  return (
    <footer className="account">
      <button type="button" className="figures" onClick={() => setDetails(true)} aria-haspopup="dialog">
        <Figure name="Events" value={now.received} />
        <Figure name="Conflated" value={now.skipped} extra />
        <Figure name="Duplicates" value={now.duplicates} bad />
        <Figure name="Gaps" value={now.gaps + now.outOfOrder} bad />
        <Figure name="Resets" value={now.resets} bad />
        <Figure name="Reconnects" value={now.reconnects} />
        {now.lastOutageMs !== null && (
          <span className="figure" data-extra>
            back after <b>{(now.lastOutageMs / 1_000).toFixed(1)} s</b>
          </span>
        )}
      </button>
      <Standing />
      {details && <Details of={now} close={() => setDetails(false)} />}
    </footer>
  );
}

/** How long an outage lasts before the bar speaks of it: most are over sooner. */
const SPEAKS_MS = 2_000;

/** What the figures rest on: a connection, or what was there when it was lost. */
function Standing(): ReactNode {
  const client = useClient();
  const retryAt = useConnectionStatus({ select: (s) => s.retryAt });
  const lost = useLostAt();
  const now = useNow();
  if (lost === null || now - lost < SPEAKS_MS) {
    return <p>Every event has a place in its channel. After a cut, the page asks for what follows the last one it has.</p>;
  }
  const left = retryAt === null ? 0 : Math.ceil((retryAt - now) / 1_000);
  return (
    <p className="outage">
      What you see is as of <b>{clock(lost)}</b>.{' '}
      <button type="button" className="link" onClick={() => client.reconnect()}>
        {left > 0 ? 'Try now' : 'Trying …'}
      </button>
    </p>
  );
}

interface FigureProps {
  name: string;
  value: number;
  bad?: boolean;
  /** Left out where there is little room. */
  extra?: boolean;
}

function Figure({ name, value, bad = false, extra = false }: FigureProps): ReactNode {
  return (
    <span className="figure" data-bad={bad && value > 0} data-extra={extra || undefined}>
      {name} <b>{integer(value)}</b>
    </span>
  );
}

function Details({ of, close }: { of: DeliveryAccount; close: () => void }): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const columns = ['received', 'skipped', 'duplicates', 'outOfOrder', 'gaps', 'resets'] as const;
  return (
    <dialog ref={dialog} className="dialog" onClose={close} aria-labelledby="account-title">
      <h2 id="account-title">Delivery, channel by channel</h2>
      <p>
        Counted by this page from cursors alone; also at <code>window.__tallywire.read()</code>. Transports so far:{' '}
        {of.transports.join(' → ') || 'none'}.
      </p>
      <div className="scroll" tabIndex={0} role="region" aria-labelledby="account-title">
        <table>
          <thead>
            <tr>
              <th scope="col">Channel</th>
              {['Received', 'Conflated', 'Duplicates', 'Out of order', 'Gaps', 'Resets'].map((c) => (
                <th scope="col" key={c} className="number">
                  {c}
                </th>
              ))}
              <th scope="col">Last cursor</th>
            </tr>
          </thead>
          <tbody>
            {Object.entries(of.channels)
              .sort()
              .map(([channel, a]) => (
                <tr key={channel}>
                  <th scope="row">{channel}</th>
                  {columns.map((c) => (
                    <td key={c} className="number">
                      {integer(a[c])}
                    </td>
                  ))}
                  <td className="mono">{a.lastCursor ?? '–'}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </div>
      <form method="dialog">
        <button className="button primary" type="submit">
          Close
        </button>
      </form>
    </dialog>
  );
}
