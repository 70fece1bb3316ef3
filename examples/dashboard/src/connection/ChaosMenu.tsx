import { useSyncExternalStore, type ReactNode } from 'react';
import { Icon } from '../ui/Icon';
import { useNow } from '../ui/useNow';
import { usePopover } from '../ui/usePopover';
import { chaos } from './realtime';

const DROP_MS = 20_000;

/** Breaks things on purpose, so that one can watch them heal. */
export function ChaosMenu(): ReactNode {
  const { open, root, toggle, close } = usePopover();
  const { onlyPolling, offlineUntil } = useSyncExternalStore(chaos.onTrouble, chaos.getTrouble);
  const now = useNow();
  const left = offlineUntil === null ? 0 : Math.max(0, Math.ceil((offlineUntil - now) / 1_000));
  const troubled = onlyPolling || offlineUntil !== null;
  return (
    <div className="popover-root" ref={root}>
      <button className="button" type="button" aria-expanded={open} data-active={troubled} onClick={toggle}>
        <Icon name="bolt" /> <span className="wide">Chaos</span>
        {offlineUntil !== null && <span className="count">{left} s</span>}
      </button>
      {open && (
        <div className="popover chaos" role="group" aria-label="Break something">
          <p>Break the connection and watch it heal. The bar at the bottom counts what is missing or twice: nothing should be.</p>
          <button
            type="button"
            onClick={() => {
              chaos.cut();
              close();
            }}
          >
            <strong>Cut the connection</strong>
            <span>once, as a proxy does that restarts</span>
          </button>
          <button
            type="button"
            disabled={offlineUntil !== null}
            onClick={() => {
              chaos.drop(DROP_MS);
              close();
            }}
          >
            <strong>{offlineUntil === null ? 'Drop the network for 20 s' : `The network is back in ${left} s`}</strong>
            <span>every request fails until then</span>
          </button>
          <label className="switch">
            <input type="checkbox" role="switch" checked={onlyPolling} onChange={(e) => chaos.pollOnly(e.target.checked)} />
            <span>
              <strong>Allow polling only</strong>
              <span>WebSockets and streams are blocked, as in some offices</span>
            </span>
          </label>
          {troubled && (
            <button
              type="button"
              onClick={() => {
                chaos.heal();
                close();
              }}
            >
              <strong>Mend everything</strong>
              <span>and watch it find its way back</span>
            </button>
          )}
        </div>
      )}
    </div>
  );
}
