import tseslint from 'typescript-eslint';

/** Imports run one way: bin -> lib <- plugins; inside lib: bootstrap -> master -> ipc, hooks; runtime and master share only ipc. */
const oneWay = (files, patterns, message) => ({
  files,
  rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [{ group: patterns, message }] }] },
});

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', 'fixtures/**', '**/*.d.ts'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
    },
  },
  { files: ['test/**/*.ts'], rules: { '@typescript-eslint/no-floating-promises': 'off' } },
  oneWay(['lib/**/*.ts'], ['**/bin/**', '**/plugins/**'], 'lib knows neither the command line nor the plugins'),
  oneWay(['lib/master/**/*.ts'], ['**/bin/**', '**/plugins/**', '**/runtime/**', '**/bootstrap.js', '**/control/**'], 'the master never imports what runs in a child, nor what stands above it'),
  oneWay(['lib/runtime/**/*.ts'], ['**/bin/**', '**/plugins/**', '**/master/**', '**/control/**', '**/bootstrap.js', '**/hooks.js', '**/config/load.js'], 'a child shares only ipc (and types) with the master'),
  oneWay(['lib/ipc/**/*.ts'], ['**/bin/**', '**/plugins/**', '**/runtime/**', '**/master/**', '**/control/**', '**/bootstrap.js'], 'ipc stands below both sides'),
  oneWay(['plugins/**/*.ts'], ['**/bin/**', '**/lib/master/**', '**/lib/runtime/**', '**/lib/control/**', '**/lib/ipc/**', '**/lib/bootstrap.js'], 'a built-in plugin uses the public API alone'),
);
