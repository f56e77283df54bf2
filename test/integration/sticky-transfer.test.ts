import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import test from 'node:test';
import { transfers } from '../helpers/sticky-transfer.js';
import { stickyCluster } from '../helpers/sticky.js';

for (const [name, options] of [['connection', {}], ['request', { mode: 'request', key: { header: 'x-client' } }]] as const) {
  test(`uploads and downloads by ${name}, byte for byte`, async (t) => {
    const cluster = await stickyCluster(t, options);
    const body = randomBytes(256 * 1024);
    await transfers(cluster.port, {
      uploads: 80, downloads: 6, body, sha1: createHash('sha1').update(body).digest('hex'), size: 4 * 1024 * 1024,
    });
    assert.equal((await cluster.status()).state, 'running');
  });
}
