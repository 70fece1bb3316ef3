import { canonicalId, isSchema, SchemaError, type Schema, type SchemaFile } from './read.js';

/** What a `$ref` points to. */
export interface Target {
  readonly file: SchemaFile;
  readonly schema: Schema;
  /** The last part of the pointer, or nothing for a whole file. */
  readonly key: string | undefined;
}

/** Finds what `$ref`s point to, among the files that are at hand and nowhere else. */
export class References {
  #files = new Map<string, SchemaFile>();

  constructor(files: readonly SchemaFile[]) {
    for (const f of files) this.#files.set(f.id, f);
    for (const f of files) {
      if (f.type === undefined) continue;
      const canonical = canonicalId(f.type, f.version ?? 1);
      if (!this.#files.has(canonical)) this.#files.set(canonical, f);
    }
  }

  /** Resolves a `$ref` of a file. */
  resolve(ref: string, from: SchemaFile): Target {
    const [address = '', fragment = ''] = ref.split('#', 2);
    const file = address === '' ? from : this.#files.get(new URL(address, from.id).href);
    if (!file) throw new SchemaError(`${from.name}: $ref to ${ref}: neither in the directory nor built in`);
    if (fragment === '') return { file, schema: file.schema, key: undefined };
    const found = fragment.startsWith('/') ? follow(file.schema, fragment) : anchor(file.schema, fragment);
    if (!isSchema(found)) throw new SchemaError(`${from.name}: $ref to ${ref}: there is no schema`);
    return { file, schema: found, key: fragment.slice(fragment.lastIndexOf('/') + 1) };
  }
}

function follow(root: Schema, pointer: string): unknown {
  let at: unknown = root;
  for (const raw of pointer.slice(1).split('/')) {
    const part = decodeURIComponent(raw).replaceAll('~1', '/').replaceAll('~0', '~');
    at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[part] : undefined;
  }
  return at;
}

function anchor(at: unknown, name: string): Schema | undefined {
  if (typeof at !== 'object' || at === null) return undefined;
  if (isSchema(at) && at['$anchor'] === name) return at;
  for (const part of Object.values(at)) {
    const found = anchor(part, name);
    if (found) return found;
  }
  return undefined;
}
