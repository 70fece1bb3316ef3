/** React hooks for the client. Main path: `<RealtimeProvider>` above, `useWebSocketIntegration` in a component. */
export { RealtimeProvider, type RealtimeProviderProps } from './RealtimeProvider.js';
export { useClient } from './context.js';
export { useWebSocketIntegration, type Integration, type IntegrationActions, type IntegrationOptions } from './useWebSocketIntegration.js';
export { useConnectionStatus } from './useConnectionStatus.js';
export { useChannel, type ChannelActions, type ChannelOptions } from './useChannel.js';
export { useEvent, type EventsOfType } from './useEvent.js';
export { useLatest, type LatestOptions } from './useLatest.js';
export { useMembers } from './useMembers.js';
export { usePresence } from './usePresence.js';
export { useJobProgress, type JobProgress, type JobProgressOptions } from './useJobProgress.js';
export {
  useNotifications,
  type Notification,
  type NotificationActions,
  type NotificationList,
  type NotificationOptions,
} from './useNotifications.js';
export { shallow } from './shallow.js';
export type { Handlers, SubscribingOptions } from './subscribing.js';
export type { Events, EventsOf, Register } from './register.js';
export type { FromOption, SelectOptions, SkipOption } from './types.js';
