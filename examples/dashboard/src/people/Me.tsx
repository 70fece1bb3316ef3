import { useConnectionStatus } from '@tallywire/client/react';
import type { ReactNode } from 'react';
import { ownName } from '../connection/identity';
import { Avatar } from './Avatar';

/** Who this tab is. */
export function Me(): ReactNode {
  const user = useConnectionStatus({ select: (s) => s.user }) ?? ownName();
  return (
    <span className="me">
      <Avatar user={user} you />
      <span className="wide">{user}</span>
    </span>
  );
}
