import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.{ts,tsx}'],
    exclude: ['test/gateway/**'],
    typecheck: { enabled: true, include: ['test/**/*.test-d.{ts,tsx}'] },
    maxWorkers: 1,
    restoreMocks: true,
  },
});
