import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHooks } from '../../lib/api/hooks.js';
import { Sandbox, SERVER } from './sandbox.js';

test('hooks prints every hook, its tapable kind, and who taps it', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', {
    'server.js': SERVER,
    'mine.mjs': `export default { name: "mine", apply(bootstrap) {
      bootstrap.logger.info("applied"); bootstrap.hooks.workerReady.tap("mine", () => {}); setInterval(() => {}, 1000);
    } };`,
    '.clusterrc': '{"plugins": {"./mine.mjs": true}}',
  });
  const { code, stdout } = await sandbox.run(['hooks', dir]);
  assert.equal(code, 0);
  assert.doesNotMatch(stdout, /applied/);
  assert.match(stdout, /^hook +tapable +kind +taps$/m);
  assert.match(stdout, /^workerReady +SyncHook +observe +.*mine/m);
  assert.match(stdout, /^beforeStart +AsyncSeriesHook +gate /m);
  assert.match(stdout, /^beforeReload +AsyncSeriesBailHook +decide /m);
  assert.match(stdout, /^configResolved +SyncWaterfallHook /m);
  const json = JSON.parse((await sandbox.run(['hooks', dir, '--json'])).stdout) as { hook: string; taps: string[] }[];
  assert.deepEqual(json.map(({ hook }) => hook), Object.keys(createHooks()));
  assert.ok(json.find(({ hook }) => hook === 'workerReady')?.taps.includes('mine'));
});

test('hooks with a plugin that cannot be had: 2 and one line', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SERVER, '.clusterrc': '{"plugins": {"graceful-exti": true}}' });
  const { code, stderr } = await sandbox.run(['hooks', dir]);
  assert.equal(code, 2);
  assert.match(stderr, /^.*"graceful-exti".*"graceful-exit".*\n$/);
});
