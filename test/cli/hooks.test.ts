import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHooks } from '../../lib/api/hooks.js';
import { Sandbox, SERVER } from './sandbox.js';

interface Answer {
  plugins: string[];
  hooks: { hook: string; taps: string[] }[];
  parts: { in: string; plugin: string; url: string; failed?: string }[];
  runtime: { in: string; hook: string; taps: string[] }[];
  routes: { method: string; path: string; open: boolean; tells?: string }[];
}

const FILES = {
  'server.js': SERVER,
  'mine.mjs': `export default { name: "mine", apply(bootstrap) {
    bootstrap.logger.info("applied"); bootstrap.hooks.workerReady.tap("mine", () => {}); setInterval(() => {}, 1000);
    bootstrap.inject("worker", new URL("./part.mjs", import.meta.url), { header: "x" });
    bootstrap.inject("agent", new URL("./fails.mjs", import.meta.url), {}, { passive: true });
    bootstrap.route({ method: "GET", path: "/mine", open: false, tells: "{ dry }", handler: () => ({ body: { dry: bootstrap.dry } }) });
    if (!bootstrap.dry) throw new Error("it is only looked at");
  } };`,
  'part.mjs': `export default (runtime, { header }) => {
    console.log("from a part", header); setInterval(() => {}, 1000);
    runtime.hooks.request.tap("called otherwise", () => {}); runtime.hooks.beforeClose.tap("x", () => {});
  };`,
  'fails.mjs': 'export default () => { throw new Error("no agent for me"); };',
  'first.mjs': `export default { name: "first", before: ["mine"], apply(master) {
    master.hooks.workerReady.tap("first", () => {}); master.inject("worker", new URL("./part.mjs", import.meta.url), {});
  } };`,
  '.clusterrc': '{"plugins": {"./mine.mjs": true, "./first.mjs": true}}',
};

test('hooks prints every hook, its tapable kind, and who taps it in which order, parts and routes', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', FILES);
  const { code, stdout, stderr } = await sandbox.run(['hooks', dir]);
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stdout, /INFO|from a part/);
  assert.match(stdout, /^plugins, in the order in which they are applied: .*, first, mine$/m);
  assert.match(stdout, /^hook +tapable +kind +taps$/m);
  assert.match(stdout, /^workerReady +SyncHook +observe +.*first, mine/m);
  assert.match(stdout, /^beforeStart +AsyncSeriesHook +gate /m);
  assert.match(stdout, /^beforeReload +AsyncSeriesBailHook +decide /m);
  assert.match(stdout, /^configResolved +SyncWaterfallHook /m);
  assert.match(stdout, /^mine +worker +.*part\.mjs$/m);
  assert.match(stdout, /^mine +agent +failed: .*no agent for me/m);
  assert.match(stdout, /^request +worker +first, mine$/m);
  assert.match(stdout, /^GET \/mine +no +\{ dry \}$/m);
});

test('its JSON has the same', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', FILES);
  const { plugins, hooks, parts, runtime, routes } = JSON.parse((await sandbox.run(['hooks', dir, '--json'])).stdout) as Answer;
  assert.deepEqual(plugins.slice(-2), ['first', 'mine']);
  assert.deepEqual(hooks.map(({ hook }) => hook), Object.keys(createHooks()));
  assert.deepEqual(hooks.find(({ hook }) => hook === 'workerReady')?.taps.filter((name) => /first|mine/.test(name)), ['first', 'mine']);
  assert.deepEqual(parts.filter(({ plugin }) => /first|mine/.test(plugin)).map((part) => `${part.plugin} ${part.in}`),
    ['first worker', 'mine worker', 'mine agent']);
  assert.deepEqual(runtime.find((one) => one.in === 'worker' && one.hook === 'request')?.taps, ['first', 'mine']);
  assert.ok(runtime.find((one) => one.in === 'worker' && one.hook === 'beforeClose')?.taps.includes('graceful-exit'));
  assert.deepEqual(routes.find(({ path }) => path === '/mine'), { method: 'GET', path: '/mine', open: false, tells: '{ dry }' });
});

test('a part that ends its process is told, and hooks goes on', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { ...FILES, 'part.mjs': 'export default () => { process.exit(3); };' });
  const { code, stdout } = await sandbox.run(['hooks', dir]);
  assert.equal(code, 0);
  assert.match(stdout, /^mine +worker +failed: the process of the parts has ended$/m);
});

test('hooks with a plugin that cannot be had: 2 and one line', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SERVER, '.clusterrc': '{"plugins": {"graceful-exti": true}}' });
  const { code, stderr } = await sandbox.run(['hooks', dir]);
  assert.equal(code, 2);
  assert.match(stderr, /^.*"graceful-exti".*"graceful-exit".*\n$/);
});
