import assert from 'node:assert/strict';
import test from 'node:test';
import { fixture, startCluster } from '../helpers/cluster.js';
import { withConfig } from '../helpers/with-config.js';

test('a life in hooks: their order, and no code of the app in the master', async (t) => {
  const config = withConfig(t, { workers: 1, plugins: { [fixture('plugins/record.mjs')]: true } });
  const cluster = await startCluster(t, 'life', { flags: ['--config', config] });
  const reload = await cluster.run('reload');
  assert.equal(reload.code, 0, reload.stdout + reload.stderr);
  assert.equal((await cluster.stop()).code, 0);
  const hooks = [...cluster.output.matchAll(/HOOK (\w+)/g)].map((match) => match[1]);
  assert.deepEqual(hooks, [
    'configResolved', 'beforeStart', 'beforeForkAgent', 'agentForked', 'agentReady', 'beforeForkWorker', 'fillSlot', 'workerForked',
    'workerReady', 'clusterReady',
    'beforeReload', 'configResolved', 'beforeForkWorker', 'fillSlot', 'workerForked', 'workerReady', 'beforeDrain', 'workerExit',
    'drained', 'agentExit', 'beforeForkAgent', 'agentForked', 'agentReady', 'reloaded',
    'beforeClose', 'beforeDrain', 'workerExit', 'drained', 'agentExit', 'closed',
  ]);
  assert.match(cluster.output, /GLOBAL undefined/);
  await cluster.assertNothingLeft();
});
