import { useNotifications } from '@tallywire/client/react';
import type { ReactNode } from 'react';
import { ago } from '../ui/format';
import { Icon } from '../ui/Icon';
import { useNow } from '../ui/useNow';
import { usePopover } from '../ui/usePopover';
import { SEVERITY } from './severity';
import { Title, type Leads } from './Title';

/** The bell shows how many are unread; it renders for that number alone. */
export function NotificationBell(leads: Leads): ReactNode {
  const { open, root, toggle, close } = usePopover();
  const { notifications: unread, markRead } = useNotifications({ select: (l) => l.unread });
  return (
    <div className="popover-root" ref={root}>
      <button
        type="button"
        className="button icon-only"
        aria-expanded={open}
        aria-label={unread === 0 ? 'Notifications' : `Notifications, ${unread} unread`}
        onClick={() => {
          if (open) markRead();
          toggle();
        }}
      >
        <Icon name="bell" />
        {unread > 0 && (
          <span className="count" aria-hidden="true">
            {unread > 99 ? '99+' : unread}
          </span>
        )}
      </button>
      {open && (
        <NotificationPanel
          jobs={leads.jobs}
          choose={(job) => {
            leads.choose(job);
            markRead();
            close();
          }}
        />
      )}
    </div>
  );
}

function NotificationPanel(leads: Leads): ReactNode {
  const { notifications, markRead, dismiss } = useNotifications();
  const now = useNow();
  return (
    <div className="popover notifications" role="group" aria-label="Notifications">
      <div className="popover-head">
        <h2>Notifications</h2>
        {notifications.unread > 0 && (
          <button type="button" className="link" onClick={() => markRead()}>
            Mark all as read
          </button>
        )}
      </div>
      {notifications.items.length === 0 ? (
        <div className="empty">
          <Icon name="bell" size={28} />
          <p>Nothing to tell.</p>
        </div>
      ) : (
        <ul>
          {notifications.items.map(({ id, read, data, event }) => (
            <li key={id} data-severity={data.severity} data-read={read}>
              <Icon name={SEVERITY[data.severity].icon} />
              <div>
                <p className="title">
                  <span className="hidden">{SEVERITY[data.severity].word}: </span>
                  <Title text={data.title} subject={event.subject} {...leads} />
                </p>
                <p>{data.body}</p>
                <time dateTime={event.time}>{ago(data.raised_at ?? event.time, now)}</time>
              </div>
              <button type="button" className="button quiet icon-only" aria-label={`Dismiss: ${data.title}`} onClick={() => dismiss(id)}>
                <Icon name="close" size={14} />
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
