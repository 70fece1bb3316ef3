import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { position } from '../../src/cursor.js';
import { refusal } from '../../src/error.js';
import { eventOf } from '../../src/event.js';
import { readFrames } from '../../src/frame.js';

interface Golden {
  server: { name: string; message: string }[];
}

const golden = JSON.parse(readFileSync(new URL('../../../gateway/wire/testdata/frames.json', import.meta.url), 'utf8')) as Golden;

test('every server message that Go writes is read', () => {
  expect(golden.server.length).toBeGreaterThan(20);
  for (const { name, message } of golden.server) {
    const frames = readFrames(message);
    expect(frames.length, name).toBeGreaterThan(0);
    for (const f of frames) {
      expect(f.type, name).toBeTypeOf('string');
      for (const cursor of [f.cursor, f.head]) if (cursor !== undefined) expect(position(cursor), name).toMatchObject({ cursor });
      if (f.type === 'event') {
        const at = position(f.cursor);
        expect(at, name).toBeDefined();
        if (at) expect(eventOf(f, at, f.skipped ?? 0), name).toMatchObject({ channel: f.channel, cursor: f.cursor });
      }
      if (f.type === 'error') expect(refusal(f), name).toMatchObject({ code: f.code, message: f.message, retry: f.retry });
    }
  }
});
