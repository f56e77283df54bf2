import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';

test('what Node does not have is gone without, and status and DEBUG say so', { timeout: 60_000 }, async (t) => {
  const cluster = await startCluster(t, fixture('hello'), {
    flags: ['-w', '1'], execArgv: ['--require', fixture('no-binding.cjs')], env: { DEBUG: 'hatchery:node' },
  });
  const { url } = cluster;
  // The pipe for connections is asked for with the first of them.
  for (let i = 0; i < 3; i++) assert.equal((await fetch(url, { headers: { Connection: 'close' } })).status, 200);
  await eventually(async () => {
    const { slowPaths } = await cluster.status();
    const what = slowPaths.map((line) => line.replace(/[,:].*/, '')).sort();
    assert.deepEqual(what, [
      "a child's channel is a net.Socket", "connections reach workers over Node's own channel",
      "what a child says on Node's own channel is not looked at before Node does",
      'what a synchronous call starts with an environment of its own and leaves is not found',
    ]);
    return slowPaths.every((line) => line.endsWith('process.binding is shut'));
  });
  assert.match(cluster.output, /hatchery:node slow path: connections reach workers/);
});

test('status names no slow path where there is none', { timeout: 60_000 }, async (t) => {
  const cluster = await startCluster(t, fixture('hello'), { flags: ['-w', '1'] });
  assert.equal((await fetch(cluster.url)).status, 200);
  assert.deepEqual((await cluster.status()).slowPaths, []);
});
