import type { ReactNode } from 'react';

const PATHS = {
  bell: 'M6 9a6 6 0 0 1 12 0c0 5 2 6 2 7H4c0-1 2-2 2-7Zm4 10a2 2 0 0 0 4 0',
  bolt: 'M13 2 4 14h7l-1 8 9-12h-7l1-8Z',
  close: 'm6 6 12 12M18 6 6 18',
  search: 'M11 18a7 7 0 1 1 0-14 7 7 0 0 1 0 14Zm5-2 5 5',
  up: 'm6 14 6-6 6 6',
  check: 'm5 12 5 5 9-10',
  warn: 'M12 4 2.5 20h19L12 4Zm0 6v5m0 2v.5',
  info: 'M12 11v6m0-9.5V7m0 14a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z',
  stop: 'M12 7v6m0 3v.5M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z',
  pulse: 'M3 12h4l3-8 4 16 3-8h4',
  list: 'M4 6h16M4 12h16M4 18h10',
} as const;

/** A picture that says nothing that the text beside it does not say. */
export function Icon({ name, size = 18 }: { name: keyof typeof PATHS; size?: number }): ReactNode {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
