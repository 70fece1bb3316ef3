import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { generate } from '../../types-cli/generate.js';
import { readSchemas } from '../../types-cli/read.js';

const types = fileURLToPath(new URL('../../../events/types', import.meta.url));

it('src/events/index.ts is what events/types says (npm run generate writes it)', async () => {
  const text = await generate({ files: readSchemas(types), command: 'npm run generate' });
  await expect(text).toMatchFileSnapshot('../../src/events/index.ts');
});
