import { useMemo } from 'react';
import type { EventMap } from '../events/index.js';
import type { ChannelEvent } from '../types/index.js';
import type { FromOption, SelectOptions, SkipOption } from './types.js';
import { useShared, type Source } from './useShared.js';

type Raised = EventMap['notification.raised'];

/** A notification, and whether the user has seen it. */
export interface Notification {
  /** The publisher's, so that one that is raised again replaces the one before. */
  readonly id: string;
  readonly read: boolean;
  readonly data: Raised;
  readonly event: ChannelEvent<'notification.raised', Raised>;
}

/** An immutable snapshot. */
export interface NotificationList {
  /** The newest first. */
  readonly items: readonly Notification[];
  readonly unread: number;
}

/** What can be done with them. It holds for all components with the same channel, in this tab. */
export interface NotificationActions {
  /** Marks one as read, or all. */
  markRead(id?: string): void;
  /** Takes one away, or all. */
  dismiss(id?: string): void;
}

export interface NotificationOptions<T> extends SkipOption, FromOption, SelectOptions<NotificationList, T> {
  /** Default `notifications:ops`. */
  channel?: string | undefined;
  /** How many are kept (default 50). */
  limit?: number | undefined;
}

/** The notifications of a channel, those that it retains included; with `select`, as for a badge, a part of them. */
export function useNotifications<T = NotificationList>(
  options: NotificationOptions<T> = {},
): { readonly notifications: T } & NotificationActions {
  const { channel = 'notifications:ops', limit = 50, from = '0', skip } = options;
  const key = skip ? null : JSON.stringify(['notifications', channel, limit, from]);
  const source = useMemo(
    () => notificationSource(channel, from, limit),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the key holds everything
    [key],
  );
  const [notifications, change] = useShared(key, source, options);
  const actions = useMemo<NotificationActions>(
    () => ({
      markRead: (id) => change(({ items }) => list(items.map((n) => (n.read || (id ?? n.id) !== n.id ? n : { ...n, read: true })))),
      dismiss: (id) => change(({ items }) => list(items.filter((n) => (id ?? n.id) !== n.id))),
    }),
    [change],
  );
  return { notifications, ...actions };
}

const list = (items: readonly Notification[]): NotificationList => ({ items, unread: items.filter((n) => !n.read).length });

const NONE = list([]);

function notificationSource(channel: string, from: NonNullable<FromOption['from']>, limit: number): Source<NotificationList> {
  return {
    initial: NONE,
    feed(client, set) {
      return client.subscribe(
        channel,
        (event) => {
          if (event.type !== 'notification.raised') return;
          const one = event as Notification['event'];
          const { data } = one;
          if (data.expires_at && Date.parse(data.expires_at) <= Date.now()) return;
          const id = data.notification_id;
          set(({ items }) => list([{ id, read: false, data, event: one }, ...items.filter((n) => n.id !== id)].slice(0, limit)));
        },
        { from },
      ).close;
    },
  };
}
