import { compile } from 'json-schema-to-typescript';
import { isSchema, type Schema, type SchemaFile } from './read.js';
import type { References, Target } from './refs.js';

/** Keywords whose value is a schema, a list of schemas, or schemas by name. */
const nested = ['items', 'additionalProperties'];
const nestedLists = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const nestedMaps = ['properties', 'patternProperties'];

/** What is left out: demands that TypeScript cannot make, and what is not about the value. */
const unsaid = new Set([
  'if', 'then', 'else', 'not', 'propertyNames', 'contains', 'minItems', 'maxItems', 'examples', '$schema', '$anchor', '$defs', 'definitions',
]);

/** What says that a schema describes a value, and does not only demand something of it. */
const describing = ['type', 'properties', 'items', 'prefixItems', 'enum', 'const', 'anyOf', 'oneOf', 'allOf', '$ref', 'tsType'];

/** Writes schemas as TypeScript declarations, with a name of its own for each type and each definition. */
export class Declarations {
  /** By name, in the order of their making. */
  readonly texts = new Map<string, string>();
  #names = new Map<Schema, string>();
  #sources = new Map<string, string>();
  readonly #references: References;

  constructor(references: References) {
    this.#references = references;
  }

  /** Declares the data of a type under a name that is its own. */
  async declareType(file: SchemaFile, name: string): Promise<void> {
    this.#names.set(file.schema, name);
    this.#sources.set(name, JSON.stringify(file.schema));
    const { title, description, 'x-terminal': terminal } = file.schema;
    const lines = [
      typeof title === 'string' ? `${title}.` : '',
      typeof description === 'string' ? description : '',
      terminal === true ? 'Such an event is never left out for a newer one.' : '',
    ];
    await this.#declare(name, { ...file.schema, description: lines.filter(Boolean).join(' ') }, file);
  }

  async #declare(name: string, schema: Schema, file: SchemaFile): Promise<void> {
    this.texts.set(name, ''); // so that a schema may refer to itself
    const waiting: Target[] = [];
    const plain = this.#plain(schema, file, name, waiting);
    delete plain['title'];
    delete plain['$id'];
    const text = await compile(plain, name, {
      additionalProperties: false, bannerComment: '', declareExternallyReferenced: false, format: false,
      ignoreMinAndMaxItems: true, strictIndexSignatures: false, unknownAny: true,
    });
    this.texts.set(name, layOut(rename(text, name)));
    for (const target of waiting) {
      await this.#declare(this.#names.get(target.schema) ?? name, target.schema, target.file);
    }
  }

  /** Copies a schema, with names in place of references, and without what TypeScript cannot say. */
  #plain(schema: Schema, file: SchemaFile, owner: string, waiting: Target[]): Schema {
    const go = (x: unknown): unknown => (isSchema(x) ? this.#plain(x, file, owner, waiting) : x);
    const { $ref, ...rest } = schema;
    if (typeof $ref === 'string') {
      const target = this.#references.resolve($ref, file);
      return { description: described(rest['description'] ?? target.schema['description']), tsType: this.#nameOf(target, owner, waiting) };
    }
    const out: Schema = {};
    for (const [key, value] of Object.entries(rest)) {
      if (key.startsWith('x-') || unsaid.has(key)) continue;
      const copy = part(key, value, go);
      if (copy !== undefined) out[key] = copy;
    }
    return settle(out);
  }

  #nameOf(target: Target, owner: string, waiting: Target[]): string {
    const known = this.#names.get(target.schema);
    if (known !== undefined) return known;
    const source = JSON.stringify(target.schema);
    const short = pascal(target.key ?? target.file.name.replace(/^_|\.json$/g, ''));
    let name = short;
    // Definitions of one text are one type, whichever file has them.
    for (let n = 1; reserved(name) || (this.#sources.has(name) && this.#sources.get(name) !== source); n++) {
      name = n === 1 ? owner + short : `${owner}${short}${n}`;
    }
    this.#names.set(target.schema, name);
    if (!this.#sources.has(name)) {
      this.#sources.set(name, source);
      waiting.push(target);
    }
    return name;
  }
}

/** Copies what a keyword says; `undefined` where it demands only, and describes nothing. */
function part(key: string, value: unknown, go: (x: unknown) => unknown): unknown {
  if (key === 'description') return described(value);
  if (nested.includes(key)) return go(value);
  if (nestedMaps.includes(key) && isSchema(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, x]) => [name, go(x)]));
  }
  if (!nestedLists.includes(key) || !Array.isArray(value)) return value;
  const branches = value.filter((x) => isSchema(x) && describing.some((k) => k in x)).map(go);
  const whole = branches.length === value.length || (key === 'allOf' && branches.length > 0);
  return whole ? branches : undefined;
}

/** Puts a copy into the words that the compiler reads as they are meant. */
function settle(out: Schema): Schema {
  if (out['prefixItems'] !== undefined) { // which the compiler knows by its older name
    out['items'] = out['prefixItems'];
    delete out['prefixItems'];
  }
  if (isSchema(out['additionalProperties']) && isSchema(out['properties'])) {
    out['additionalProperties'] = true; // an index signature would have to hold for the named properties as well
  }
  if (Array.isArray(out['type']) && out['type'].some((t) => t === 'object' || t === 'array')) return alternatives(out, out['type']);
  const shaped = ['properties', 'additionalProperties', 'patternProperties', ...nestedLists].some((k) => k in out);
  if (out['type'] === 'object' && !shaped) out['additionalProperties'] = true;
  return out;
}

/** Splits a schema of several types into one for each, since the compiler makes a thicket of objects among them. */
function alternatives(schema: Schema, types: readonly unknown[]): Schema {
  const { description, ...rest } = schema;
  const anyOf = types.map((type) => (type === 'object' || type === 'array' ? { ...rest, type } : { type }));
  return description === undefined ? { anyOf } : { description, anyOf };
}

/** Gives a declaration its name, of which the compiler has ideas of its own. */
function rename(text: string, name: string): string {
  return text.trim().replace(/^export (interface|type) \w+/m, `export $1 ${name}`).replace(/^(export type \w+ = )\(([^]*)\)$/m, '$1$2');
}

/** Makes a name of a type: `job.progress` → `JobProgress`. */
export function pascal(text: string): string {
  const name = text
    .split(/[^A-Za-z0-9]+/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
  return /^[A-Za-z]/.test(name) ? name : `Type${name}`;
}

/** Whether a name means something to TypeScript already. */
function reserved(name: string): boolean {
  return name in globalThis || /^(Record|Partial|Required|Readonly|Pick|Omit|Exclude|Extract|NonNullable|EventMap)$/.test(name);
}

function described(text: unknown): string | undefined {
  return typeof text === 'string' ? wrap(text) : undefined;
}

const maxColumn = 110;

/** Breaks a description into lines. */
function wrap(text: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.replaceAll('*/', '*\\/').split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > maxColumn) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

/** Lays out what the compiler writes in one column. */
function layOut(text: string): string {
  let depth = 0;
  const lines = text.trim().split('\n').flatMap((raw) => {
    const line = raw.trim();
    if (line === '') return [];
    if (line.startsWith('/*') || line.startsWith('*')) return ['  '.repeat(depth) + (line.startsWith('*') ? ` ${line}` : line)];
    if (/^[}\])]/.test(line)) depth--;
    const out = '  '.repeat(depth) + member(line, depth);
    if (/[{[(]$/.test(line)) depth++;
    return [out];
  });
  return lines
    .join('\n')
    .replaceAll(/\/\*\*\n +\* (.*)\n +\*\//g, '/** $1 */')
    .replaceAll(/\{\n +(\[k: string\]: .*);\n +\}/g, '{ $1 }');
}

/** One line of a declaration in the style of the package: ended with `;`, its texts in single quotes. */
function member(line: string, depth: number): string {
  const quoted = line.replaceAll(/"((?:[^"\\]|\\.)*)"/g, (whole, inner: string) => (inner.includes("'") ? whole : `'${inner}'`));
  const bare = quoted.replace(/^(.*: |export type \w+ = )\(([^()]*)\)$/, '$1$2');
  const goes = /[{[(;,|&]$/.test(bare) || (depth === 0 && bare === '}');
  return goes ? bare : `${bare};`;
}
