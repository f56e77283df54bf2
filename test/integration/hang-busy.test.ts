import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

test('workers that block for less than hangTimeout, one callback after the other, are not killed', async (t) => {
  const config = withConfig(t, { workers: 2, plugins: { 'health-check': { hangTimeout: 1_000 } } });
  const cluster = await startCluster(t, 'health-app', { flags: ['--config', config] });
  const before = (await cluster.status()).workers.map(({ pid }) => pid);
  // Connections that are there at once are answered in one turn of the loop, without a timer between them.
  for (let round = 0; round < 3; round++) {
    const answers = await Promise.all(Array.from({ length: 6 }, () => get(`${cluster.url}/block?ms=600`, { deadline: 15_000 })));
    assert.ok(answers.every(({ status }) => status === 200));
  }
  assert.deepEqual((await cluster.status()).workers.map(({ pid }) => pid), before);
  assert.doesNotMatch(cluster.output, /unresponsive/);
  assert.equal((await cluster.stop()).code, 0);
});
