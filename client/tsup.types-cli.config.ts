import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'tsup';

/** The program `tallywire-types`, with all that it uses in it, so that the package needs no dependencies. */
export default defineConfig({
  entry: { 'tallywire-types': 'types-cli/main.ts' },
  outDir: 'dist/bin',
  format: ['cjs'],
  outExtension: () => ({ js: '.cjs' }),
  platform: 'node',
  target: 'node20',
  noExternal: [/.*/],
  minify: true,
  metafile: true,
  esbuildPlugins: [
    {
      // What the compiler is not asked for, and what is larger than all the rest: to format, and to follow references.
      name: 'leave out',
      setup(build) {
        build.onResolve({ filter: /^(prettier|js-yaml|@apidevtools\/json-schema-ref-parser)/ }, ({ path }) => ({ path, namespace: 'left-out' }));
        build.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({
          contents: 'export class $RefParser { async dereference(_, schema) { return schema; } }\nexport const format = undefined, load = undefined;',
        }));
      },
    },
  ],
  onSuccess: async () => {
    const metafile = 'dist/bin/metafile-cjs.json';
    cpSync('../events/types', 'dist/bin/schemas', { recursive: true });
    writeFileSync('dist/bin/LICENSES.txt', notices(metafile));
    rmSync(metafile);
    await Promise.resolve();
  },
});

/** The licences of what went into the program, as they ask for. */
function notices(metafile: string): string {
  const { inputs } = JSON.parse(readFileSync(metafile, 'utf8')) as { inputs: Record<string, unknown> };
  const folders = new Set(Object.keys(inputs).flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []));
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, string>;
    const file = readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
    if (file === undefined) throw new Error(`${folder} has no licence in it`);
    return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
  });
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}
