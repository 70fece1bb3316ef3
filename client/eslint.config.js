import hooks from 'eslint-plugin-react-hooks';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  globalIgnores(['dist/', 'api/', 'test/types-cli/own-events.ts']),
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ['eslint.config.js', 'sizes.mjs'] }, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // A function that holds others in place of a class is long; what is in it is not.
      'max-lines': ['error', 400],
      'max-depth': ['error', 4],
      complexity: ['error', { max: 20, variant: 'modified' }],
      'no-console': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      '@typescript-eslint/ban-ts-comment': ['error', { 'ts-expect-error': 'allow-with-description', minimumDescriptionLength: 5 }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-empty-object-type': ['error', { allowInterfaces: 'always' }], // users add to them
      // Not every runtime has what its types promise.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // `unknown` beside others says what is meant.
      '@typescript-eslint/no-redundant-type-constituents': 'off',
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      // Interfaces are made of closures here, which need no `this`.
      '@typescript-eslint/unbound-method': 'off',
      // Matters of taste, which are left to the author.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-invalid-void-type': 'off',
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      '@typescript-eslint/no-unnecessary-type-arguments': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/use-unknown-in-catch-callback-variable': 'off',
    },
  },
  { files: ['src/react/**', 'test/react/**'], extends: [hooks.configs['recommended-latest']] },
  { files: ['test/**'], rules: { 'no-console': 'off', '@typescript-eslint/no-non-null-assertion': 'off' } },
  { files: ['**/*.test-d.{ts,tsx}'], rules: { '@typescript-eslint/no-unsafe-return': 'off', '@typescript-eslint/no-unsafe-member-access': 'off' } },
  { files: ['eslint.config.js', 'sizes.mjs'], extends: [tseslint.configs.disableTypeChecked], rules: { 'no-console': 'off' } },
);
