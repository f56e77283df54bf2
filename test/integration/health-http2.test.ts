import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get2 } from '../helpers/http-get.js';

test('requests over HTTP/2 are counted too', async (t) => {
  const cluster = await startCluster(t, 'http2-clear', { flags: ['--workers', '1'] });
  for (let n = 0; n < 5; n++) await get2(cluster.url);
  await eventually(async () => (await cluster.status()).workers[0]?.requests === 5, 4_000);
  assert.equal((await cluster.stop()).code, 0);
});
