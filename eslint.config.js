import path from 'node:path';
import tseslint from 'typescript-eslint';

const root = import.meta.dirname;

/** Folders, low to high: each imports its own row, if it stands there alone, and lower ones; types too. */
const layers = [
  ['lib/kit'], ['lib/node'], ['lib/ipc'], ['lib/config'], ['lib/api'], ['lib/messenger'],
  ['lib/master', 'lib/child', 'lib/control'],
  ['lib'], // the package's entries: index.ts, runtime.ts
  ['plugins'], ['bin'],
];

/** What plugins import of lib: master parts the one, parts for children (and what only they import) the other. */
const MASTER = 'lib/index.ts';
const CHILD = 'lib/runtime.ts';
const childParts = new RegExp(`^plugins/(?:[^/]+/(?:worker|agent)|${[
  'dev-reload/(?:loaded|written)',
  'egg/(?:child-lines|framework)',
  'graceful-exit/(?:any-server|cluster-primary|connection-close|drain|drain-options|exchange|frames|http2-sessions|in-flight|moves)',
  'hosts/(?:held-lease|leases|link|packing|receiving|recent|redis-connection|scripts|sending)',
  'graceful-exit/(?:own-signals|rules|server-drain|stillness|tracked-servers|uncaught|web-sockets?)',
  'health-check/(?:blocking-calls|checks|heartbeat|requests)',
  'overload/(?:arrivals|backlog|refusal)',
  'shared-clients/(?:call-forms|calls|client|clients|cluster-client|forms|leader|member|published|shape|telling|turning|wants)',
  'sticky-session/(?:agents|asking|engine-io|entrance|forward|hop|issued-cookie|lines|link|link-frames|owner-table|peer|private-server)',
  'sticky-session/(?:proxied-address|request-key|requests|sample|tunnel)',
].join('|')})\\.ts$`);

const folderOf = (file) => layers.flat().filter((folder) => file.startsWith(`${folder}/`)).sort((a, b) => b.length - a.length)[0];
const rowOf = (folder) => layers.findIndex((row) => row.includes(folder));

/** Why `from` may not import `to` (paths from the root); null: it may. */
function wrong(from, to) {
  const [here, there] = [folderOf(from), folderOf(to)];
  if (here === undefined || there === undefined) return null;
  if (here === 'plugins' && there !== 'plugins') {
    const entry = childParts.test(from) ? CHILD : MASTER;
    return to === entry ? null : `of lib this part of a plugin imports ${entry} alone`;
  }
  return here === there || rowOf(there) < rowOf(here) ? null : `${here} does not import ${there} (layers in eslint.config.js)`;
}

const importsRule = {
  create(context) {
    const from = path.relative(root, context.filename);
    const look = (node, source) => {
      const name = source?.value ?? source?.literal?.value;
      if (typeof name !== 'string' || !name.startsWith('.')) return;
      const to = path.relative(root, path.resolve(path.dirname(context.filename), name)).replace(/\.js$/, '.ts');
      const message = wrong(from, to);
      if (message) context.report({ node, message });
    };
    return {
      ImportDeclaration: (node) => look(node, node.source),
      ExportNamedDeclaration: (node) => look(node, node.source),
      ExportAllDeclaration: (node) => look(node, node.source),
      ImportExpression: (node) => look(node, node.source),
      TSImportType: (node) => look(node, node.argument),
    };
  },
};

/** What Node does not document, by the names that it cannot be used without. */
const undocumented = [
  'binding', 'init', 'internalMessage', 'getOwnPropertySymbols', 'pendingHandle', 'runMain', 'unconsume',
  '_cache', '_connections', '_createServerHandle', '_debugProcess', '_extensions', '_getActiveHandles', '_getActiveRequests', '_getServer',
  '_handle', '_header', '_httpMessage', '_listen2', '_load', '_parent', '_resolveFilename',
].join('|');
const message = 'Node does not document this: lib/node has what there is of it, with a probe.';
const privates = [
  `MemberExpression[computed=false] > Identifier.property[name=/^(?:${undocumented})$/]`,
  `ObjectPattern > Property > Identifier.key[name=/^(?:${undocumented})$/]`,
  `Literal[value=/^(?:${undocumented})$/]`,
].map((selector) => ({ selector, message }));

const product = ['lib/**/*.ts', 'plugins/**/*.ts', 'bin/**/*.ts'];

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', 'fixtures/**', '**/*.d.ts'] },
  ...tseslint.configs.recommended,
  { rules: { 'max-len': ['error', { code: 140, ignoreUrls: true }] } },
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
  { files: product, plugins: { house: { rules: { layers: importsRule } } }, rules: { 'house/layers': 'error' } },
  {
    files: product,
    // compiled.ts runs before the bundle that lib/node is in; the probe of lib/node/modules.ts looks after what it uses.
    ignores: ['lib/node/**', 'lib/kit/compiled.ts'],
    rules: { 'no-restricted-syntax': ['error', ...privates] },
  },
);
