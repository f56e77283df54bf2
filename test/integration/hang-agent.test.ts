import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

test('an agent that hangs is found and replaced like a worker', async (t) => {
  const config = withConfig(t, { workers: 1, plugins: { 'health-check': { hangTimeout: 800 } } });
  const cluster = await startCluster(t, 'health-agent', { flags: ['--config', config] });
  const { pid } = (await cluster.status()).agent ?? {};
  const from = cluster.output.length;
  await get(`${cluster.url}/hang-agent`);
  await cluster.waitFor(/agent \(pid \d+\) is unresponsive[^]*at spinInAgent \(.*agent\.js:2:\d+\)/, 5_000, from);
  await cluster.waitFor(/agent_worker#2:\d+ started/, 5_000, from);
  assert.equal((await get(cluster.url)).text, 'ok');
  const { agent } = await cluster.status();
  assert.notEqual(agent?.pid, pid);
  assert.equal(agent?.lastExit?.cause, 'unresponsive');
  assert.equal((await cluster.stop()).code, 0);
});
