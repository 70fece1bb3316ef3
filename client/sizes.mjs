// Measures what a page downloads, holds that against the limits in package.json, and the table in README.md
// against what was measured; with --write it writes the table.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const tolerance = 0.15; // KB, for a patch of the compressor
const rows = /(<!-- sizes -->\n)([^]*?)(<!-- \/sizes -->)/;

function measure() {
  try {
    return execFileSync('npx', ['--no-install', 'size-limit', '--json'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch (error) {
    if (!error.stdout) throw error;
    return error.stdout; // a limit is exceeded
  }
}

const sizes = JSON.parse(measure()).map(({ name, size, sizeLimit, passed }) => ({ name, kb: size / 1000, limit: sizeLimit / 1000, passed }));
const readme = readFileSync('README.md', 'utf8');
const table = ['| what | KB |', '|---|---|', ...sizes.map((s) => `| ${s.name} | ${s.kb.toFixed(1)} |`), ''].join('\n');
let failed = false;
for (const { name, kb, limit, passed } of sizes) {
  const told = Number(new RegExp(`^\\| ${RegExp.escape?.(name) ?? name.replace(/[^\w ]/g, '\\$&')} \\| ([0-9.]+) \\|$`, 'm').exec(readme)?.[1]);
  const current = Math.abs(told - kb) <= tolerance;
  console.log(`${kb.toFixed(2).padStart(6)} KB of ${limit}  ${name}${passed ? '' : '  TOO LARGE'}${current ? '' : `  README.md says ${told}`}`);
  failed ||= !passed || (!current && !process.argv.includes('--write'));
}
if (process.argv.includes('--write')) writeFileSync('README.md', readme.replace(rows, (_, before, _old, after) => before + table + after));
process.exitCode = failed ? 1 : 0;
