import { defineConfig } from 'vitest/config';

/** The tests that need a real gateway, built with Go. */
export default defineConfig({
  test: {
    include: ['test/gateway/**/*.test.ts'],
    globalSetup: ['test/gateway/setup.ts'],
    maxWorkers: 1,
    testTimeout: 30_000,
    hookTimeout: 180_000,
  },
});
