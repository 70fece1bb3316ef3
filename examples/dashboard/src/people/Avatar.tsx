import type { ReactNode } from 'react';

const HUES = [12, 42, 95, 160, 200, 232, 268, 310, 340];

/** The same person has the same colour everywhere. */
export function hue(user: string): number {
  let sum = 7;
  for (const c of user) sum = (sum * 31 + (c.codePointAt(0) ?? 0)) % 9973;
  return HUES[sum % HUES.length] ?? 200;
}

export function initials(name: string): string {
  const words = name.split(/[\s._-]+/).filter((w) => /\p{L}/u.test(w));
  const letters = words.length > 1 ? `${words[0]?.[0] ?? ''}${words.at(-1)?.[0] ?? ''}` : (words[0] ?? name).slice(0, 2);
  return letters.toUpperCase();
}

interface Props {
  user: string;
  name?: string | undefined;
  away?: boolean;
  you?: boolean;
  size?: 'small' | 'normal';
}

export function Avatar({ user, name = user, away = false, you = false, size = 'normal' }: Props): ReactNode {
  const label = `${name}${you ? ' (you)' : ''}${away ? ', away' : ''}`;
  return (
    <span className="avatar" data-size={size} data-away={away} data-you={you} role="img" aria-label={label} title={label} style={{ '--hue': hue(user) } as object}>
      {initials(name)}
    </span>
  );
}
