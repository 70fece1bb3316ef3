import { useEffect, useRef, useState, type RefObject } from 'react';

export interface Popover<E extends HTMLElement> {
  open: boolean;
  toggle(): void;
  close(): void;
  /** Around the button and what it opens. */
  root: RefObject<E | null>;
}

/** Something that a button opens, and that Escape, or a click or the focus elsewhere, closes. */
export function usePopover<E extends HTMLElement = HTMLDivElement>(): Popover<E> {
  const [open, setOpen] = useState(false);
  const root = useRef<E>(null);
  useEffect(() => {
    if (!open) return;
    const away = (e: Event): void => {
      if (!root.current?.contains(e.target as Node)) setOpen(false);
    };
    const escape = (e: KeyboardEvent): void => {
      if (e.key !== 'Escape') return;
      setOpen(false);
      root.current?.querySelector<HTMLElement>('[aria-expanded]')?.focus();
    };
    document.addEventListener('pointerdown', away);
    document.addEventListener('focusin', away);
    document.addEventListener('keydown', escape);
    return () => {
      document.removeEventListener('pointerdown', away);
      document.removeEventListener('focusin', away);
      document.removeEventListener('keydown', escape);
    };
  }, [open]);
  return { open, root, toggle: () => setOpen((o) => !o), close: () => setOpen(false) };
}
