import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { withConfig } from '../helpers/with-config.js';

test('a process that ends with half a message in its pipe still tells why, and the master reads no more than that', async (t) => {
  const cluster = await startCluster(t, 'hostile', {
    ready: false, env: { HOSTILE_BOOT: 'exit' }, flags: ['--config', withConfig(t, { workers: 2, agent: false })],
  });
  assert.equal((await cluster.ended(15_000)).code, 1);
  assert.match(cluster.output, /worker#1 \(pid \d+\) failed: the app ended the process with code 3 before it was ready/);
  assert.doesNotMatch(cluster.output, /cut off|no message/);
  await cluster.assertNothingLeft();
});
