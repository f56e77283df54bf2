import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';

test('an app that was written for PM2 has its instance, is ready when it says so, and closes by the message', async (t) => {
  const cluster = await startCluster(t, 'pm2-app', { deadline: 30_000 });
  const seen = new Map<unknown, unknown>();
  await eventually(async () => {
    const { instance, port } = (await get(cluster.url)).json;
    seen.set(instance, port);
    return seen.size === 2;
  });
  assert.deepEqual([...seen].sort(), [['0', '9000'], ['1', '9001']]);
  assert.doesNotMatch(cluster.output, /has not come/);
  assert.equal((await cluster.run('reload', [], 60_000)).code, 0);
  assert.equal((await cluster.stop(20_000)).code, 0);
  assert.match(cluster.output, /shutdown of 0/);
  assert.match(cluster.output, /shutdown of 1/);
});

test('an app that listens and never says that it is ready is taken for ready after listenTimeout, with a warning', async (t) => {
  const cluster = await startCluster(t, 'pm2-app', { flags: ['-w', '1'], env: { SAYS: 'nothing' }, deadline: 30_000 });
  assert.match(cluster.stderr, /WARN .*process\.send\('ready'\) has not come within 500 ms of the listen: taken for ready/);
  assert.equal((await get(cluster.url)).status, 200);
  assert.equal((await cluster.stop(20_000)).code, 0);
});
