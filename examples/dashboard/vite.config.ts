import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const client = (path: string): string => fileURLToPath(new URL(`../../client/src/${path}`, import.meta.url));

// The client is used from its sources, so that the page always shows the one beside it. With
// `npm run dev`, a gateway started by `make run` answers for /v1.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^@tallywire\/client\/react$/, replacement: client('react/index.ts') },
      { find: /^@tallywire\/client$/, replacement: client('index.ts') },
    ],
    dedupe: ['react', 'react-dom'],
  },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0, // the page's policy allows files of its own only
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/v1': { target: 'http://127.0.0.1:8080', ws: true, changeOrigin: true } } },
});
