import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A JSON Schema, or a part of one. */
export type Schema = Record<string, unknown>;

/** A file of a schema directory. */
export interface SchemaFile {
  /** The file's name, for people. */
  readonly name: string;
  readonly schema: Schema;
  /** What a `$ref` calls the file: its `$id`, and its place among its neighbours where it has none. */
  readonly id: string;
  /** The event type, or nothing for a library: a file whose name begins with `_`. */
  readonly type?: string;
  readonly version?: number;
}

/** Something is wrong with the schemas: one line each. */
export class SchemaError extends Error {}

const draft = 'https://json-schema.org/draft/2020-12/schema';
/** Where the files of a directory are for each other, so that a relative `$ref` finds its neighbour. */
const fileBase = 'schemas:///';
/** Begins the id of every type's version that has none of its own. */
const schemaBase = 'https://tallywire.dev/schemas/';

/** The id of a type's version. */
export function canonicalId(type: string, version: number): string {
  return `${schemaBase}${type}/${version}`;
}

/**
 * Reads a directory of schemas as a gateway's `--schemas` does: the `*.json` files at its top, not hidden ones. A file's
 * name is its type, with the version in it from the second on (`acme.order.v2.json`), unless `x-type` and
 * `x-version` say otherwise.
 */
export function readSchemas(dir: string): SchemaFile[] {
  const names = readdirSync(dir, { withFileTypes: true })
    .filter((e) => !e.isDirectory() && e.name.endsWith('.json') && !e.name.startsWith('.'))
    .map((e) => e.name)
    .sort();
  const files: SchemaFile[] = [];
  const problems: string[] = [];
  const taken = new Map<string, string>();
  for (const name of names) {
    try {
      const file = readSchema(name, readFileSync(join(dir, name), 'utf8'));
      const identity = file.type === undefined ? file.id : `${file.type} version ${file.version ?? 1}`;
      const other = taken.get(identity);
      if (other !== undefined) throw new SchemaError(`is ${identity}, as ${other} is`);
      taken.set(identity, name);
      files.push(file);
    } catch (error) {
      problems.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (problems.length > 0) throw new SchemaError(problems.join('\n'));
  return files;
}

/** Reads one schema. */
export function readSchema(name: string, text: string): SchemaFile {
  const schema: unknown = JSON.parse(text);
  if (!isSchema(schema)) throw new SchemaError('must be a JSON object');
  const said = schema['$schema'] ?? draft;
  if (said !== draft && said !== `${draft}#`) throw new SchemaError(`/$schema: must be ${draft}`);
  const own = typeof schema['$id'] === 'string' ? schema['$id'] : undefined;
  if (name.startsWith('_')) return { name, schema, id: own ?? fileBase + name };
  const { type, version } = identify(name.replace(/\.json$/, ''), schema);
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(type)) {
    throw new SchemaError("the file's name without .json, or x-type, must be an event type: 1 to 128 of A-Z a-z 0-9 _ . -");
  }
  return { name, schema, id: own ?? fileBase + name, type, version };
}

function identify(stem: string, schema: Schema): { type: string; version: number } {
  const number = schema['x-version'];
  if (number !== undefined && (typeof number !== 'number' || !Number.isInteger(number) || number < 0)) {
    throw new SchemaError('/x-version: must be a whole number >= 1');
  }
  const given = number || undefined;
  if (typeof schema['x-type'] === 'string' && schema['x-type'] !== '') return { type: schema['x-type'], version: given ?? 1 };
  const suffix = /^(.*)\.v([1-9][0-9]{0,5})$/.exec(stem);
  if (!suffix) return { type: stem, version: given ?? 1 };
  const version = Number(suffix[2]);
  if (given !== undefined && given !== version) {
    throw new SchemaError(`/x-version: is ${given}, but the file's name says ${version}`);
  }
  return { type: suffix[1] ?? stem, version };
}

/** Tells a JSON object from other values. */
export function isSchema(x: unknown): x is Schema {
  return typeof x === 'object' && x !== null && !Array.isArray(x);
}
