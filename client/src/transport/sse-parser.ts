/** What a stream of server-sent events says. */
export interface SSEHandler {
  data(data: string): void;
  /** The server's wish how long to wait before the next stream. */
  retry(ms: number): void;
}

/** Takes a stream's text piece by piece; pieces may end anywhere. `id` and `event` are of no interest here. */
export function sseParser(on: SSEHandler): (chunk: string) => void {
  let buffer = '';
  let data: string[] = [];
  return (chunk) => {
    buffer += chunk;
    // A \r at the end may be half of a line's end.
    const lines = buffer.split(/\r\n|\n|\r(?!$)/);
    buffer = lines.pop() ?? '';
    for (const line of lines) {
      const m = /^(data|retry)(?::|$) ?(.*)/s.exec(line);
      if (m?.[1] === 'data') data.push(m[2] ?? '');
      else if (m && /^\d+$/.test(m[2] ?? '')) on.retry(Number(m[2]));
      else if (line === '' && data.length > 0) {
        on.data(data.join('\n'));
        data = [];
      }
    }
  };
}
