// Builds dist/: ES modules for the master and the command line, one CommonJS file for each part that runs in a child, and
// the declarations. Bundled, because loading the five dependencies file by file costs about 70 ms at every start and
// bundled about 25; the parts are CommonJS because the first import() of a process costs 5 ms on Node 20, in every worker.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { leanCommonBin } from './bin/lean-common-bin.mjs';

const root = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(root, 'dist');
const plugins = readdirSync(path.join(root, 'plugins'));
const present = (files) => files.filter((file) => existsSync(path.join(root, file)));

const shared = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  outdir: dist,
  outbase: '.',
  logLevel: 'warning',
  external: ['typescript', 'tsx'],
  legalComments: 'none',
  minifySyntax: true,
  minifyWhitespace: true,
};

rmSync(dist, { recursive: true, force: true });

await Promise.all([
  build({
    ...shared,
    entryPoints: present([
      'bin/framework.ts', 'bin/index.ts', 'lib/index.ts',
      ...plugins.map((name) => `plugins/${name}/index.ts`),
    ]),
    format: 'esm',
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); const __dirname = import.meta.dirname;" },
    plugins: [leanCommonBin],
  }),
  build({
    ...shared,
    entryPoints: present([
      'lib/runtime/worker-main.ts', 'lib/runtime/agent-main.ts', 'lib/runtime/fetch-bridge.ts',
      ...plugins.flatMap((name) => [`plugins/${name}/worker.ts`, `plugins/${name}/agent.ts`]),
    ]),
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    // import() must stay import(): applications may be ES modules.
    supported: { 'dynamic-import': true },
    plugins: [{
      // Loaded by few workers, so no part of worker-main.cjs.
      name: 'apart',
      setup: (bundle) => bundle.onResolve({ filter: /^\.\/fetch-bridge\.js$/ }, () => ({ path: './fetch-bridge.cjs', external: true })),
    }],
  }),
]);

if (!process.argv.includes('--js-only')) {
  const tsc = spawnSync(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.types.json'], { cwd: root, stdio: 'inherit' });
  if (tsc.status !== 0) process.exit(tsc.status ?? 1);
}

// The JSON Schema for editors. Its generator runs here alone and is not part of dist.
const { outputFiles } = await build({ ...shared, entryPoints: ['lib/config/json-schema.ts'], format: 'esm', write: false });
const { jsonSchema } = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
writeFileSync(path.join(dist, 'schema.json'), `${JSON.stringify(jsonSchema(), null, 2)}\n`);
