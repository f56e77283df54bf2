// Builds dist/. Bundled, because loading the dependencies file by file costs about 70 ms at every start; CommonJS, because
// one file read at once starts sooner than a graph of ES modules (some 20 ms for twenty chunks), and the first import() of a
// process costs 5 ms on Node 20:
//   core.cjs              the master and the command line: one copy, whoever asks for it
//   late.cjs              what other commands than a start load once they run; of what it shares with the core, the core's copy
//   lib/index.cjs, .js    the public API: names of core.cjs, for require and for import
//   lib/runtime.cjs, .js  `hatchery/runtime`
//   lib/drain.cjs, .js    `hatchery/drain`, which loads nothing else of this
//   lib/testing.cjs, .js  `hatchery/testing`, the same
//   lib/egg.cjs, .js      `hatchery/egg`
//   bin/                  `framework`, and `hatchery/cli`
//   plugins/<name>/       index.cjs for the master, worker.cjs and agent.cjs for the children
//   lib/child/            what a child process runs
//   vendor/               dependencies that few starts need
//   held.br               what a running master holds of it, compressed
//   LICENSES.txt          of everything that is bundled
//   types/                the declarations (build-types.mjs)
// Nothing is minified: what a stack shows can be read (docs/decisions/bundling.md).
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { build } from 'esbuild';
import { leanCommonBin } from './bin/lean-common-bin.mjs';
import { buildTypes } from './build-types.mjs';

const root = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(root, 'dist');
const plugins = readdirSync(path.join(root, 'plugins'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory()).map(({ name }) => name);
const present = (files) => files.filter((file) => existsSync(path.join(root, file)));

/** Dependencies that are loaded when they are first needed. */
const VENDOR = [
  'chokidar', 'cosmiconfig', 'croner', 'prom-client', 'semver/functions/satisfies.js', 'semver/ranges/valid.js', 'string-width', 'ws',
];
const vendorName = (name) => name.replace(/\.js$/, '').replaceAll('/', '-');

/** In the master's own bundle, which runs on when its folder was deleted: lib/kit/package.ts finds what is loaded later. */
const later = (file) => ({
  contents: `import { requireBuilt } from './lib/kit/package.ts';\nmodule.exports = requireBuilt('${file}');`,
  resolveDir: root,
  loader: 'js',
});

const vendored = (load) => ({
  name: 'vendored',
  setup(bundle) {
    bundle.onResolve({ filter: new RegExp(`^(?:${VENDOR.join('|')})$`) }, ({ path: name, importer }) =>
      importer.includes('node_modules') ? undefined : { path: name, namespace: 'vendor' });
    bundle.onLoad({ filter: /.*/, namespace: 'vendor' }, ({ path: name }) => load(`vendor/${vendorName(name)}.cjs`));
    bundle.onResolve({ filter: /^[./]+\/vendor\// }, ({ path: file }) => ({ path: file, external: true }));
  },
});

/** A built-in plugin gets the public API of the one core, not a copy. */
const linked = {
  name: 'linked',
  setup(bundle) {
    bundle.onResolve({ filter: /^\.\.\/\.\.\/lib\/index\.js$/ }, ({ path: file }) => ({ path: file, namespace: 'api' }));
    bundle.onLoad({ filter: /.*/, namespace: 'api' }, () => ({ contents: `module.exports = require('../../core.cjs').lib()` }));
    bundle.onResolve({ filter: /\/core\.cjs$/ }, ({ path: file }) => ({ path: file, external: true }));
  },
};

/** Each command needs other functions: what is kept compiled is named after it. */
const USE = "/^[a-z]+$/.exec(process.argv[2] ?? '')?.[0] ?? ''";

/** What the command line loads by import(), but for the master itself, is in late.cjs; `found` gets their names. */
const late = (found) => ({
  name: 'late',
  setup(bundle) {
    bundle.onResolve({ filter: /^\.{1,2}\// }, ({ path: file, importer, resolveDir, kind }) => {
      const name = nameOf(path.resolve(resolveDir, file));
      const isOwn = kind === 'dynamic-import' && [importer, path.join(root, name)].every((one) => nameOf(one).startsWith('bin/'));
      if (!isOwn || name === 'bin/master.ts') return undefined;
      found.add(name);
      return { path: name, namespace: 'late' };
    });
    bundle.onLoad({ filter: /.*/, namespace: 'late' }, ({ path: name }) => ({
      contents: `
        import { built, requireBuilt } from './lib/kit/package.ts';
        module.exports = requireBuilt('lib/kit/compiled.cjs').loadCompiled(built('late.cjs'), ${USE}).late('${name}');`,
      resolveDir: root,
      loader: 'js',
    }));
  },
});

/** What is in the core is taken from there, so that there is one of every class; `taken` gets the names. */
const fromCore = (inCore, taken) => ({
  name: 'from-core',
  setup(bundle) {
    bundle.onResolve({ filter: /.*/ }, async ({ path: file, importer, resolveDir, kind, pluginData }) => {
      if (importer === '' || pluginData === 'asked') return undefined;
      const found = await bundle.resolve(file, { importer, resolveDir, kind, pluginData: 'asked' });
      const name = nameOf(found.path);
      if (found.external || !inCore.has(name)) return undefined;
      taken.add(name);
      return { path: name, namespace: 'core' };
    });
    bundle.onLoad({ filter: /.*/, namespace: 'core' }, ({ path: name }) =>
      ({ contents: `module.exports = require('./core.cjs').part('${name}')` }));
    bundle.onResolve({ filter: /\/core\.cjs$/ }, ({ path: file }) => ({ path: file, external: true }));
  },
});

/** As esbuild names them: seen from the root. */
const nameOf = (file) => path.relative(root, file).replaceAll(path.sep, '/').replace(/\.js$/, '.ts');

/** A plugin names its parts by `import.meta.url`, as any plugin does: that of its own folder in dist, wherever it is bundled. */
const located = (dir) => ({
  name: 'located',
  setup: (bundle) => bundle.onLoad({ filter: /[\\/]plugins[\\/][^\\/]+[\\/][^\\/]+\.ts$/ }, ({ path: file }) => {
    const name = path.basename(path.dirname(file));
    const url = `require('node:url').pathToFileURL(require('node:path').join(__dirname, '${dir(name)}', 'index.cjs')).href`;
    return { contents: readFileSync(file, 'utf8').replaceAll('import.meta.url', url), loader: 'ts' };
  }),
});

/** What code that is kept compiled cannot do itself; loaded when it is first needed. */
const outside = (load) => ({
  name: 'outside',
  setup(bundle) {
    bundle.onResolve({ filter: /\/import-module\.js$/ }, () => ({ path: 'import-module', namespace: 'outside' }));
    bundle.onLoad({ filter: /.*/, namespace: 'outside' }, () => load);
    bundle.onResolve({ filter: /\/import-module\.cjs$/ }, ({ path: file }) => ({ path: file, external: true }));
  },
});

const IMPORT_BESIDE = { contents: "exports.importModule = (url) => require('../kit/import-module.cjs').importModule(url)" };
const IMPORT_LATER = {
  contents: `import { requireBuilt } from './lib/kit/package.ts';
    export const importModule = (url) => requireBuilt('lib/kit/import-module.cjs').importModule(url);`,
  resolveDir: root,
  loader: 'js',
};

/** What is in worker.cjs and agent.cjs, and what is not: every child loads the parts of plugins that are on, few the bridge. */
const runtime = (role) => ({
  name: 'runtime',
  setup(bundle) {
    bundle.onResolve({ filter: /^\.\/fetch-bridge\.js$/ }, () => ({ path: './fetch-bridge.cjs', external: true }));
    bundle.onResolve({ filter: /^\.\/clients\.js$/ }, () => ({ path: '../../plugins/shared-clients/clients.cjs', external: true }));
    bundle.onLoad({ filter: /[\\/]child[\\/]parts\.ts$/ }, ({ path: file }) => {
      const parts = present(INSIDE.map((name) => `plugins/${name}/${role}.ts`))
        .map((part) => `'${part.slice('plugins/'.length).replace(/ts$/, 'cjs')}': () => require('../../${part}')`);
      const none = '() => unknown>> = {};';
      const contents = replaceIn(readFileSync(file, 'utf8'), none, none.replace('{}', () => `{ ${parts.join(', ')} }`));
      return { loader: 'ts', contents };
    });
  },
});

/** The build stops where the text that it is to change is not there. */
function replaceIn(text, from, to) {
  if (!text.includes(from)) throw new Error(`nothing to replace: ${from}`);
  return text.replace(from, () => to);
}

/** Plugins that are on by themselves start sooner as a part of the core; and with them what shares their state. */
const INSIDE = ['container', 'graceful-exit', 'health-check', 'metrics', 'shared-clients', 'systemd'];

/** Entries of the package that are a part of a plugin. */
const DRAIN = 'plugins/graceful-exit/any-server.ts';
/** An entry that runs the command line. */
const TESTING = 'bin/testing/index.ts';
const EGG = 'plugins/egg/start-cluster.ts';

const core = (taken) => `
const inside = { ${INSIDE.map((name) => `'${name}': () => require('./plugins/${name}/index.ts')`).join(', ')} };
/** The master's part of a built-in plugin. */
export const plugin = (name) => {
  const file = './plugins/' + name + '/index.cjs';
  return inside[name] ? inside[name]() : require(file);
};
export const lib = () => require('./lib/index.ts');
export const cli = () => require('./bin/index.ts');
const parts = { ${[...taken].sort().map((name) => `'${name}': () => require('./${name}')`).join(', ')} };
/** What late.cjs shares with it. */
export const part = (name) => parts[name]();
`;

const shared = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  outdir: dist,
  outbase: '.',
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  logLevel: 'warning',
  external: ['typescript', 'tsx'],
  legalComments: 'none',
  metafile: true,
  // The core and its plugins import by lib/kit/import-module.ts alone.
  supported: { 'dynamic-import': false },
  define: { 'import.meta.dirname': '__dirname', 'import.meta.filename': '__filename' },
};

/** Here import() must stay import(): applications may be ES modules. */
const native = { supported: { 'dynamic-import': true } };

rmSync(dist, { recursive: true, force: true });

/** Modules of late.cjs that the core asks for, and of the core that late.cjs asks for. */
const lateOnes = new Set();
const taken = new Set();
const buildCore = (options) => build({
  ...shared,
  entryPoints: undefined,
  stdin: { contents: core(taken), resolveDir: root, loader: 'ts' },
  outdir: undefined,
  outfile: path.join(dist, 'core.cjs'),
  plugins: [leanCommonBin, outside(IMPORT_LATER), late(lateOnes), vendored(later), located((name) => `plugins/${name}`)],
  ...options,
});
const inCore = new Set(Object.keys((await buildCore({ write: false })).metafile.inputs));
const lateResult = await build({
  ...shared,
  entryPoints: undefined,
  stdin: {
    contents: `
      const ones = { ${[...lateOnes].sort().map((name) => `'${name}': () => require('./${name}')`).join(', ')} };
      export const late = (name) => ones[name]();`,
    resolveDir: root,
    loader: 'ts',
  },
  outdir: undefined,
  outfile: path.join(dist, 'late.cjs'),
  plugins: [
    fromCore(inCore, taken),
    located((name) => `plugins/${name}`),
    vendored((file) => ({ contents: `module.exports = require('./${file}')` })),
  ],
});

const results = await Promise.all([
  lateResult,
  buildCore(),
  build({ ...shared, entryPoints: Object.fromEntries(VENDOR.map((name) => [vendorName(name), name])), outdir: path.join(dist, 'vendor') }),
  build({
    ...shared,
    entryPoints: [...plugins.filter((name) => !INSIDE.includes(name)).map((name) => `plugins/${name}/index.ts`), EGG],
    plugins: [linked, vendored((file) => ({ contents: `module.exports = require('../../${file}')` })), located(() => '.')],
  }),
  build({
    ...shared,
    entryPoints: present([
      'lib/kit/compiled.ts', 'lib/kit/import-module.ts', 'lib/runtime.ts', 'lib/child/fetch-bridge.ts', 'lib/messenger/bus.ts',
      'lib/node/probes.ts', 'plugins/egg/ask.ts', 'plugins/shared-clients/clients.ts', 'bin/dry-parts.ts',
      ...plugins.flatMap((name) => [`plugins/${name}/worker.ts`, `plugins/${name}/agent.ts`]),
    ]),
    ...native,
  }),
  // What a child's process is started with: it loads the role's bundle, of which worker 0 keeps what it compiles, and the agent.
  ...Object.entries({ worker: "process.env.CLUSTER_SLOT === '0'", agent: 'true' }).map(([role, keeps]) => build({
    ...shared,
    ...native,
    entryPoints: undefined,
    stdin: {
      contents: `
        import path from 'node:path';
        import { loadCompiled } from './lib/kit/compiled.ts';
        loadCompiled(path.join(__dirname, '${role}.cjs'), '${role}', ${keeps});`,
      resolveDir: root,
      loader: 'ts',
    },
    outdir: undefined,
    outfile: path.join(dist, `lib/child/${role}-main.cjs`),
  })),
  build({
    ...shared,
    entryPoints: { 'lib/drain': DRAIN, 'lib/testing': TESTING },
    ...native,
  }),
  // Required before the user's preloads, where there are any.
  build({
    ...shared,
    entryPoints: undefined,
    stdin: { contents: "import { takeWordsFirst } from './lib/child/words.ts';\ntakeWordsFirst();\n", resolveDir: root, loader: 'ts' },
    outdir: undefined,
    outfile: path.join(dist, 'lib/child/words-first.cjs'),
  }),
  ...['worker', 'agent'].map((role) => build({
    ...shared,
    entryPoints: undefined,
    stdin: { contents: `import { ${role} } from './lib/child/run.ts';\n${role}();\n`, resolveDir: root, loader: 'ts' },
    outdir: undefined,
    outfile: path.join(dist, `lib/child/${role}.cjs`),
    plugins: [runtime(role), outside(IMPORT_BESIDE)],
  })),
  // The worker's, for the one process of `--workers 0`: the master loads it.
  build({
    ...shared,
    ...native,
    entryPoints: undefined,
    stdin: { contents: "export { here } from './lib/child/run.ts';\n", resolveDir: root, loader: 'ts' },
    outdir: undefined,
    outfile: path.join(dist, 'lib/child/alone.cjs'),
    plugins: [runtime('worker')],
  }),
  build({
    ...shared,
    entryPoints: ['bin/framework.ts', 'bin/hatchery-scripts.ts'],
    outExtension: {},
    plugins: [{
      name: 'core',
      setup: (bundle) => bundle.onResolve({ filter: /^\.\/index\.js$/ }, ({ path: file }) => ({ path: file, external: true })),
    }],
  }),
]);

// What is bundled keeps its licence.
const packages = new Set(results.flatMap(({ metafile }) => Object.keys(metafile.inputs))
  .flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []));
writeFileSync(path.join(dist, 'LICENSES.txt'), [...packages].sort().map((dir) => {
  const { name, version, license } = JSON.parse(readFileSync(path.join(root, dir, 'package.json'), 'utf8'));
  const file = readdirSync(path.join(root, dir)).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? readFileSync(path.join(root, dir, file), 'utf8').trim() : 'The package has no licence file.';
  return `${name} ${version} (${license})\n\n${text}\n`;
}).join(`\n${'-'.repeat(80)}\n\n`));

// esbuild copies every name of a module of Node's whose default is imported; seeing through to them will do, and spares each
// process a millisecond.
for (const file of results.flatMap(({ metafile }) => Object.keys(metafile.outputs))) {
  rewrite(path.join(root, file), (text) =>
    text.replace(/__toESM\((require\("node:[\w/]+"\)), 1\)/g, '((m) => ({ __proto__: m, default: m }))($1)'));
}

// Named after their content, for what is kept compiled of them.
const coreFile = path.join(dist, 'core.cjs');
const KEPT = ['late.cjs', 'lib/child/worker.cjs', 'lib/child/agent.cjs'];
for (const file of [coreFile, ...KEPT.map((name) => path.join(dist, name))]) {
  rewrite(file, (text) => `//${createHash('sha256').update(text).digest('hex').slice(0, 16)}\n${text}`);
}

const built = createRequire(import.meta.url)(coreFile);
// For plugins that import them.
for (const name of INSIDE) {
  mkdirSync(path.join(dist, 'plugins', name), { recursive: true });
  writeFileSync(path.join(dist, 'plugins', name, 'index.cjs'), `module.exports = require('../../core.cjs').plugin('${name}');\n`);
}
// Each is an entry of the package as well, for presets.
for (const name of plugins) {
  writeFileSync(path.join(dist, 'plugins', name, 'index.js'), "import plugin from './index.cjs';\nexport default plugin.default;\n");
  writeFileSync(path.join(dist, 'plugins', name, 'index.d.ts'), `import type { Plugin, PluginOptions } from '../../types/lib/index.js';
declare const plugin: Plugin<PluginOptions['${name}']>;
export default plugin;
`);
}
const names = (exported) => Object.keys(exported).filter((name) => name !== 'default').join(', ');
const compiled = (from, use) => `require('${from}compiled.cjs').loadCompiled(require.resolve('../core.cjs'), ${use})`;
const library = `${compiled('./kit/', "'library'")}.lib()`;
writeFileSync(path.join(dist, 'lib/index.cjs'), `module.exports = ${library};\n`);
// The library first: so the core is taken as it is kept compiled.
writeFileSync(path.join(dist, 'lib/egg.cjs'), `require('./index.cjs');
const { startCluster } = require('../${EGG.replace(/ts$/, 'cjs')}');
module.exports = { startCluster };
`);
// The ES module beside it says the names of the same objects; so do its declarations.
for (const [name, { source, types }] of Object.entries({
  index: { source: library, types: 'lib/index.js' },
  runtime: { source: "require('./runtime.cjs')", types: 'lib/runtime.js' },
  drain: { source: "require('./drain.cjs')", types: DRAIN.replace(/ts$/, 'js') },
  testing: { source: "require('./testing.cjs')", types: TESTING.replace(/ts$/, 'js') },
  egg: { source: "require('./egg.cjs')", types: EGG.replace(/ts$/, 'js') },
})) {
  const exported = names(createRequire(coreFile)(`./lib/${name}.cjs`));
  writeFileSync(path.join(dist, `lib/${name}.js`), exported === '' ? 'export {};\n' : `import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
export const { ${exported} } = ${source};
`);
  writeFileSync(path.join(dist, `lib/${name}.d.ts`), `export * from '../types/${types}';\n`);
}
// The bin is CommonJS in an ES module package: the loader of ES modules costs 5 ms more.
writeFileSync(path.join(dist, 'bin/package.json'), '{ "type": "commonjs" }\n');
writeFileSync(path.join(dist, 'bin/index.js'), `module.exports = ${compiled('../lib/kit/', USE)}.cli();
0 && (module.exports = { ${names(built.cli())} });
`);

if (!process.argv.includes('--js-only')) {
  buildTypes({
    root,
    out: path.join(dist, 'types'),
    entries: [
      'lib/index.ts', 'lib/runtime.ts', DRAIN, EGG, TESTING, 'bin/index.ts', ...plugins.map((name) => `plugins/${name}/index.ts`),
    ],
    loaded: present(['plugins/options.ts']),
  });
}

// The JSON Schema for editors. Its generator runs here alone and is not part of dist.
const { outputFiles } = await build({
  ...shared,
  entryPoints: undefined,
  stdin: {
    contents: `export { jsonSchema } from './lib/config/schema-renderings.ts';
      ${plugins.map((name, at) => `import { schema as s${at} } from './plugins/${name}/options.ts';`).join('\n')}
      export const options = { ${plugins.map((name, at) => `'${name}': s${at}`).join(', ')} };`,
    resolveDir: root,
    loader: 'ts',
  },
  outdir: undefined, outfile: path.join(dist, 'schema.mjs'), format: 'esm', define: {}, write: false,
});
const { jsonSchema, options } = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
writeFileSync(path.join(dist, 'schema.json'), `${JSON.stringify(jsonSchema(options), null, 2)}\n`);

// What a running master holds of it (lib/master/installation.ts), in one file.
const HELD = new RegExp(`^(?:${[
  'lib/child/(?!alone).*', 'lib/kit/import-module', 'lib/messenger/bus', 'lib/node/probes', 'plugins/[^/]+/(?:worker|agent|clients)',
  'vendor/.*',
].join('|')})\\.cjs$`);
const held = readdirSync(dist, { recursive: true }).map((name) => name.replaceAll(path.sep, '/')).filter((name) => HELD.test(name)).sort();
writeFileSync(path.join(dist, 'held.br'), Buffer.concat([
  Buffer.from(`${JSON.stringify(held.map((name) => `dist/${name}`))}\n`),
  brotliCompressSync(JSON.stringify(held.map((name) => readFileSync(path.join(dist, name), 'utf8'))), {
    // A tenth less at 11, in eight seconds more.
    params: { [constants.BROTLI_PARAM_QUALITY]: 9 },
  }),
]));

function rewrite(file, change) {
  writeFileSync(file, change(readFileSync(file, 'utf8')));
}
