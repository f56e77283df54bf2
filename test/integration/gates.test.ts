import assert from 'node:assert/strict';
import test from 'node:test';
import { fixture, startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

const gates = (options: object, rest: object = {}) =>
  ({ workers: 1, agent: false, ...rest, plugins: { [fixture('plugins/gates.mjs')]: options } });

test('an error in beforeStart aborts the start, with the name of the plugin, exit 1, nothing forked', async (t) => {
  const cluster = await startCluster(t, 'life', { ready: false, flags: ['--config', withConfig(t, gates({ abortStart: true }))] });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /"gates".*beforeStart.*the database is away/);
  assert.doesNotMatch(cluster.output, /app_worker/);
  await cluster.assertNothingLeft();
});

test('beforeForkWorker may change the environment of a fork', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['--config', withConfig(t, gates({ env: { CLUSTER_SLOT: 'changed' } }))] });
  assert.equal((await get(cluster.url)).json.slot, 'changed');
});

test('beforeReload vetoes with its reason, exit 1, the workers untouched', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['--config', withConfig(t, gates({ veto: 'it is Friday' }))] });
  const before = (await get(cluster.url)).json.pid;
  const reload = await cluster.run('reload');
  assert.equal(reload.code, 1);
  assert.match(reload.stdout + reload.stderr, /it is Friday/);
  assert.equal((await get(cluster.url)).json.pid, before);
});

test('an observer that throws is told by name and breaks nothing', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['--config', withConfig(t, gates({ throwInObserver: true }))] });
  await cluster.waitFor(/"gates" failed in hook workerReady: observer is broken/);
  assert.equal((await get(cluster.url)).status, 200);
});
