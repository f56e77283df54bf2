import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';

test('an async function of the context gives the app; signal and onClose tell of the end', async (t) => {
  const cluster = await startCluster(t, 'async-factory', { flags: ['-w', '2'] });
  const { json } = await get(cluster.url);
  assert.equal(json.by, 'factory');
  assert.equal(json.database, true);
  assert.equal(typeof json.slot, 'number');
  assert.match(cluster.output, /\[worker#1\] connected, slot 1/);
  assert.equal((await cluster.stop()).code, 0);
  assert.match(cluster.output, /\[worker#0\] draining[^]*database closed/);
});
