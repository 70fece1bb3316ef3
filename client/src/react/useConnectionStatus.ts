import type { ConnectionStatus } from '../types/index.js';
import type { SelectOptions } from './types.js';
import { useSelected } from './useSelected.js';
import { useStatusStore } from './useStatusStore.js';

/** The connection as it is; with `select`, a part of it. */
export function useConnectionStatus<T = ConnectionStatus>(options: SelectOptions<ConnectionStatus, T> = {}): T {
  return useSelected(useStatusStore(), options);
}
