import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import vm from 'node:vm';
import { root } from '../helpers/cluster.js';

/** Modules as jest has them: each test file has globals and classes of its own, and no import(). */
function sandbox(): { run(code: string): unknown } {
  const globals = { process, console, Buffer, setTimeout, clearTimeout, setImmediate, queueMicrotask, AbortController, AbortSignal, URL };
  const context = vm.createContext({ ...globals });
  vm.runInContext('globalThis.global = globalThis', context);
  const known = new Map<string, { exports: unknown }>();
  const nodes = createRequire(import.meta.url);
  const requireFrom = (from: string) => {
    const real = createRequire(from);
    const inside = (id: string): unknown => {
      if (/^(?:node:)?module$/.test(id)) return Object.assign(Object.create(Module), { createRequire: requireFrom });
      return Module.isBuiltin(id) ? nodes(id) : load(real.resolve(id));
    };
    return Object.assign(inside, { resolve: real.resolve, cache: {} });
  };
  const load = (file: string): unknown => {
    const there = known.get(file);
    if (there) return there.exports;
    const module = { exports: {} as unknown };
    known.set(file, module);
    const wrapped = Module.wrap(readFileSync(file, 'utf8'));
    const run = vm.runInContext(wrapped, context, { filename: file }) as (...all: unknown[]) => void;
    run(module.exports, requireFrom(file), module, file, path.dirname(file));
    return module.exports;
  };
  const require = requireFrom(path.join(root, 'test/noop.js'));
  const run = (code: string) => (vm.runInContext(`(require) => { ${code} }`, context) as (all: unknown) => unknown)(require);
  return { run };
}

test('in a sandbox with classes of its own errors are its errors, and ES modules are imported', async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hj-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(path.join(dir, 'server.js'), '');
  writeFileSync(path.join(dir, 'cluster.config.mjs'), 'export default { workers: 3 };');
  const told = await sandbox().run(`
    const { ClusterError, loadConfig } = require('${root}/dist/lib/index.cjs');
    return (async () => {
      const { config } = await loadConfig({ target: '${dir}' });
      const error = await loadConfig({ target: '/nowhere' }).catch((error) => error);
      return [config.workers, error instanceof ClusterError, error instanceof Error, error.code].join(' ');
    })();`);
  assert.equal(told, '3 true true ERR_CLUSTER_APP_NOT_FOUND');
});

test('there, too, hatchery/testing and hatchery/runtime load', () => {
  const told = sandbox().run(`
    const testing = require('${root}/dist/lib/testing.cjs');
    const runtime = require('${root}/dist/lib/runtime.cjs');
    return [typeof testing.startTestCluster, testing.createRuntime().runtime.role, typeof runtime.ready].join(' ');`);
  assert.equal(told, 'function worker function');
});
