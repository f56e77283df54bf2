import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { before, after, test } from 'node:test';
import { node } from '../helpers/cluster.js';

/**
 * What a user gets: the packed package with its dependencies and @types/node, and nothing else of this repository. Its types
 * compile with `skipLibCheck: false` in every mode, from ES modules and CommonJS.
 */
const root = path.resolve('.');
const consumer = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ht-published-')));
const tsc = path.join(root, 'node_modules/typescript/bin/tsc');

/** Both kinds of file; what is wrong has to be an error, or `@ts-expect-error` is one. */
const USE = `
declare module 'hatchery' {
  interface InternalMessages { 'mine.count': { from: 'worker'; to: 'master'; data: number; reply: string } }
  interface PluginOptions { mine: { limit: number } }
}
export const config = defineConfig({
  workers: 'auto', refork: { onLimit: 'exit' }, profiles: { production: { port: 80 } },
  plugins: { metrics: true, 'health-check': { maxRss: '512MB' }, mine: { limit: 1 }, './other.js': { any: 'thing' } },
});
// @ts-expect-error a built-in plugin has no such option
export const misspelt = defineConfig({ plugins: { 'health-check': { maxRSS: '512MB' } } });
// @ts-expect-error nor has one that is declared here
export const undeclared = defineConfig({ plugins: { mine: { limits: 1 } } });
// @ts-expect-error neither a number nor "auto"
export const wrong = defineConfig({ workers: 'many' });
export const plugin = definePlugin<{ limit: number }>({
  name: 'mine',
  apply: (master, { limit }) => { master.hooks.beforeRefork.tap('mine', () => ({ delay: limit })); },
});
export default function part(runtime: Runtime<'worker'>): void { runtime.channel.send('mine.count', 1); }
export class Own extends Program { override get description(): string { return 'mine'; } }
export const start = async (): Promise<number> => (await startCluster({ target: 'app' })).exited;
export const stop: Stop = drain({ timeout: 10_000, signals: ['SIGTERM'], exit: true, onClose: async () => {} });
export const cut = async (): Promise<number> => (await stop()).cut + (stop.signal.aborted ? 1 : 0);
export const egg: EggClusterOptions = { baseDir: '/srv/shop', workers: 2, sticky: true, mine: 1 };
export const started = async (): Promise<string | null> => (await startEgg(egg, () => {})).address;
// @ts-expect-error no such option
export const undrained = drain({ timeuot: 10_000 });
export const tried = async (): Promise<number | null> => {
  const cluster: TestCluster = await startTestCluster({ workers: 2, config: { plugins: { mine: { limit: 1 } } } });
  const worker = createRuntime({ role: 'worker', slot: 1 });
  part(worker.runtime);
  return cluster.stop();
};
export const preset = definePlugin({
  name: 'preset', needs: ['mine'], commands: { 'preset:show': { description: 'show it', load: () => Own } },
  apply: (master) => master.dry ? undefined : master.applyPlugin(metrics, { port: 9100 }),
});
export const twice = defineConfig({ plugins: { 'mine#api': { limit: 1 }, 'health-check#two': false } });
// @ts-expect-error an instance has the options of its plugin
export const wrongTwice = defineConfig({ plugins: { 'mine#api': { limits: 1 } } });
// @ts-expect-error metrics has no such option
export const wrongPreset = definePlugin({ name: 'preset', apply: (master) => master.applyPlugin(metrics, { prot: 9100 }) });
// @ts-expect-error no such option
export const untried = startTestCluster({ worker: 2 });
export const isOurs = (error: unknown): boolean => error instanceof ClusterError && error.code === 'ERR_CLUSTER_CONFIG';
`;
const IMPORTS = `import { ClusterError, defineConfig, definePlugin, startCluster } from 'hatchery';
import { Program } from 'hatchery/cli';
import { drain, type Stop } from 'hatchery/drain';
import { startCluster as startEgg, type EggClusterOptions } from 'hatchery/egg';
import metrics from 'hatchery/plugins/metrics';
import type { Runtime } from 'hatchery/runtime';
import { createRuntime, startTestCluster, type TestCluster } from 'hatchery/testing';
`;
const REQUIRES = `import hatchery = require('hatchery');
import cli = require('hatchery/cli');
export const config = hatchery.defineConfig({ port: 8080 });
export class Own extends cli.Program {}
`;

interface Manifest { dependencies?: Record<string, string>; exports?: unknown }
const manifest = (dir: string): Manifest => JSON.parse(readFileSync(path.join(dir, 'package.json'), 'utf8')) as Manifest;

/** Copies a package and what it depends on, from where Node would find it, to the same place. */
function install(name: string, from: string, seen = new Set<string>()): void {
  for (let dir = from; dir.startsWith(root); dir = path.dirname(dir)) {
    const found = path.join(dir, 'node_modules', name);
    if (!existsSync(found)) continue;
    if (seen.has(found)) return;
    seen.add(found);
    const own = (file: string): boolean => !path.relative(found, file).includes('node_modules');
    cpSync(found, path.join(consumer, path.relative(root, found)), { recursive: true, filter: own });
    const { dependencies = {} } = manifest(found);
    for (const one of Object.keys(dependencies)) install(one, found, seen);
    return;
  }
  throw new Error(`${name} is not installed`);
}

before(() => {
  assert.ok(existsSync('dist/types'), 'a build without --js-only comes first');
  const pack = ['pack', '--json', '--offline', '--ignore-scripts', '--pack-destination', consumer];
  const told = execFileSync('npm', pack, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const [packed] = JSON.parse(told) as [{ filename: string }];
  const place = path.join(consumer, 'node_modules/hatchery');
  mkdirSync(place, { recursive: true });
  execFileSync('tar', ['-xzf', path.join(consumer, packed.filename), '-C', place, '--strip-components=1']);
  const { dependencies = {} } = manifest(place);
  const seen = new Set<string>();
  for (const name of [...Object.keys(dependencies), '@types/node']) install(name, root, seen);
  writeFileSync(path.join(consumer, 'package.json'), '{ "type": "module" }');
  writeFileSync(path.join(consumer, 'module.ts'), IMPORTS + USE);
  writeFileSync(path.join(consumer, 'common.cts'), IMPORTS + USE);
  writeFileSync(path.join(consumer, 'required.cts'), REQUIRES);
});
after(() => rmSync(consumer, { recursive: true, force: true }));

const MODES = {
  NodeNext: { module: 'NodeNext', resolution: 'NodeNext', files: ['module.ts', 'common.cts', 'required.cts'] },
  Node16: { module: 'Node16', resolution: 'Node16', files: ['module.ts', 'common.cts', 'required.cts'] },
  Bundler: { module: 'ESNext', resolution: 'Bundler', files: ['module.ts', 'common.cts'] },
};

for (const [mode, { module, resolution, files }] of Object.entries(MODES)) {
  test(`the published types compile under ${mode}`, () => {
    const { status, stdout } = spawnSync(process.execPath, [
      tsc, '--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'ES2022', '--types', 'node', '--module', module,
      '--moduleResolution', resolution, ...files,
    ], { cwd: consumer, encoding: 'utf8' });
    assert.equal(status, 0, stdout);
  });
}

test('import and require lead to the same objects', () => {
  const text = (file: string, body: string) => writeFileSync(path.join(consumer, file), body);
  text('same.mjs', `import { createRequire } from 'node:module';
import * as library from 'hatchery';
import * as cli from 'hatchery/cli';
import * as drain from 'hatchery/drain';
import * as egg from 'hatchery/egg';
import * as runtime from 'hatchery/runtime';
import * as testing from 'hatchery/testing';
const require = createRequire(import.meta.url);
const ours = (key) => !['default', 'module.exports'].includes(key);
const differ = (all, name) => Object.keys(all).filter((key) => ours(key) && all[key] !== require(name)[key]);
const missing = (all, name) => Object.keys(require(name)).filter((key) => !(key in all));
const modules = {
  hatchery: library, 'hatchery/cli': cli, 'hatchery/drain': drain, 'hatchery/egg': egg, 'hatchery/runtime': runtime,
  'hatchery/testing': testing,
};
const wrong = Object.entries(modules).flatMap(([name, all]) => [...differ(all, name), ...missing(all, name)]);
console.log(JSON.stringify(wrong), Object.keys(library).includes('ClusterError'));
`);
  const { stdout, stderr } = spawnSync(node, ['same.mjs'], { cwd: consumer, encoding: 'utf8' });
  assert.equal(stdout, '[] true\n', stderr);
});

test('nothing that is installed is ours alone to need: what the bundles hold is no dependency', () => {
  const installed = readdirSync(path.join(consumer, 'node_modules'));
  for (const bundled of ['chokidar', 'croner', 'prom-client', 'valibot', 'ws']) assert.ok(!installed.includes(bundled), bundled);
});

test('every file that package.json exports is there', () => {
  const place = path.join(consumer, 'node_modules/hatchery');
  const { exports } = manifest(place);
  const files = (value: unknown): string[] => typeof value === 'string' ? [value] : Object.values(value as object).flatMap(files);
  for (const file of files(exports)) assert.ok(existsSync(path.join(place, file.replaceAll('*', 'metrics'))), file);
});
