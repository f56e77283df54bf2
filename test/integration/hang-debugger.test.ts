import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

test('a worker whose inspector is open is left alone: somebody may stand at a breakpoint', async (t) => {
  const config = withConfig(t, { workers: 1, plugins: { 'health-check': { hangTimeout: 500 } } });
  const cluster = await startCluster(t, 'health-app', { flags: ['--config', config] });
  const { pid } = (await get(cluster.url)).json;
  process.kill(pid as number, 'SIGUSR1');
  await cluster.waitFor(/Debugger listening on/);
  await get(`${cluster.url}/block?ms=2500`);
  assert.equal((await get(cluster.url)).json.pid, pid);
  assert.doesNotMatch(cluster.output, /unresponsive/);
  assert.equal((await cluster.stop()).code, 0);
});
