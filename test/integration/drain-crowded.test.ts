import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { costlyApp } from '../helpers/flood.js';
import { ownApp } from '../helpers/own-app.js';
import { once } from '../helpers/raw-client.js';

const CLIENTS = 50;

test('a stop answers all who wait in the master, though that takes a worker longer than a second', async (t) => {
  const { dir } = ownApp(t, { 'app.js': costlyApp(60), '.clusterrc': { workers: 1 } });
  const cluster = await startCluster(t, dir);
  const all = Array.from({ length: CLIENTS }, () => once({ port: cluster.port }, 'GET', '/'));
  await Promise.any(all);
  const stop = cluster.run('stop');
  const answers = await Promise.allSettled(all);
  assert.deepEqual(answers.filter(({ status }) => status === 'rejected'), []);
  assert.equal((await stop).code, 0);
});
