#!/usr/bin/env node
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generate } from './generate.js';
import { readSchemas, SchemaError } from './read.js';

const usage = `Usage: tallywire-types DIR [--out FILE] [--check]

Writes TypeScript types for the event schemas in DIR: the directory that a gateway is given as --schemas.

  --out FILE   where to write them (default: standard output)
  --check      write nothing; exit with 1 where FILE is not what would be written
  --help
`;

/** Does what the command line says, and returns the exit status. */
async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args, allowPositionals: true,
    options: { out: { type: 'string' }, check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const [dir] = positionals;
  if (dir === undefined || positionals.length > 1 || (values.check && values.out === undefined)) {
    process.stderr.write(usage);
    return 2;
  }
  const out = values.out;
  const text = await generate({
    files: readSchemas(dir), builtIn: readSchemas(join(__dirname, 'schemas')),
    command: ['tallywire-types', dir, ...(out === undefined ? [] : ['--out', out])].join(' '),
  });
  if (out === undefined) process.stdout.write(text);
  else if (!values.check) writeFileSync(out, text);
  else if (readFileSync(out, 'utf8') !== text) {
    process.stderr.write(`tallywire-types: ${out} is not what the schemas in ${dir} say; run it without --check\n`);
    return 1;
  }
  return 0;
}

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    const known = error instanceof SchemaError || (error instanceof Error && 'code' in error);
    process.stderr.write(`tallywire-types: ${known ? error.message : String(error instanceof Error ? error.stack : error)}\n`);
    process.exitCode = known && !(error instanceof SchemaError) ? 2 : 1;
  },
);
