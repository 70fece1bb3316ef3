import type { EventMap } from '@tallywire/client';

export type Severity = EventMap['notification.raised']['severity'];

export const SEVERITY: Record<Severity, { word: string; icon: 'info' | 'warn' | 'stop' }> = {
  info: { word: 'Information', icon: 'info' },
  warning: { word: 'Warning', icon: 'warn' },
  error: { word: 'Error', icon: 'stop' },
  critical: { word: 'Critical', icon: 'stop' },
};
