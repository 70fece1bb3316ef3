import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { generate } from '../../types-cli/generate.js';
import { readSchemas } from '../../types-cli/read.js';

const path = (to: string): string => fileURLToPath(new URL(to, import.meta.url));
const builtIn = readSchemas(path('../../../events/types'));

it('writes the types of a directory, which typed.test-d.ts uses', async () => {
  const files = readSchemas(path('schemas'));
  const text = await generate({ files, builtIn, command: 'tallywire-types schemas', from: '../../src/index.js' });
  await expect(text).toMatchFileSnapshot('own-events.ts');
});

describe('what is wrong with a directory', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'tallywire-types-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const object = '{"type":"object"}';
  it.each([
    ['a.json', '{', /^a\.json: .*JSON/],
    ['a.json', '[]', /^a\.json: must be a JSON object/],
    ['a.json', '{"$schema":"http://json-schema.org/draft-07/schema#"}', /^a\.json: \/\$schema: must be/],
    ['a.v2.json', '{"x-version":3}', /^a\.v2\.json: \/x-version: is 3, but the file's name says 2/],
    ['a b.json', object, /^a b\.json: .* must be an event type/],
    ['_a.json', object, /there is no event type/],
    ['a.json', '{"$ref":"b.json"}', /^a\.json: \$ref to b\.json: neither in the directory nor built in/],
    ['a.json', '{"properties":{"x":{"$ref":"#/$defs/x"}}}', /^a\.json: \$ref to #\/\$defs\/x: there is no schema/],
  ])('%s with %s', async (name, text, message) => {
    writeFileSync(join(dir, name), text);
    await expect((async () => generate({ files: readSchemas(dir), builtIn, command: '' }))()).rejects.toThrow(message);
  });

  it('two files of one type', () => {
    writeFileSync(join(dir, 'a.json'), object);
    writeFileSync(join(dir, 'b.json'), '{"x-type":"a"}');
    expect(() => readSchemas(dir)).toThrow('b.json: is a version 1, as a.json is');
  });

  it('two types of one name', async () => {
    writeFileSync(join(dir, 'a.b.json'), object);
    writeFileSync(join(dir, 'a-b.json'), object);
    await expect(generate({ files: readSchemas(dir), command: '' })).rejects.toThrow('would be called AB, as');
  });
});
