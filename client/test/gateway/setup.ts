import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    binary: string;
  }
}

/** Builds the program once; returns what removes it. */
export default function setup(project: TestProject): () => void {
  const dir = mkdtempSync(join(tmpdir(), 'tallywire-client-'));
  const binary = join(dir, 'tallywire');
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  execFileSync('go', ['build', '-o', binary, './cmd/tallywire'], { cwd: root, stdio: 'inherit' });
  project.provide('binary', binary);
  return () => rmSync(dir, { recursive: true });
}
