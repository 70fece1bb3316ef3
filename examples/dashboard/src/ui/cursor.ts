const offset = (cursor: string | undefined): number => Number.parseInt(cursor ?? '', 10);

/** Whether everything up to the head has come. The entry with offset 1 opens a channel and is never delivered. */
export function caughtUp(cursor: string | undefined, head: string | undefined): boolean {
  return cursor !== undefined && head !== undefined && offset(head) <= Math.max(1, offset(cursor));
}
