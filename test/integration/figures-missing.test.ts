import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { unsuited } from '../helpers/skips.js';

const run = promisify(execFile);

test('a worker at its limit of descriptors lives on: what cannot be measured is null', {
  skip: process.platform === 'linux' ? false : unsuited.linux,
}, async (t) => {
  const cluster = await startCluster(t, 'health-app', { flags: ['--workers', '1'] });
  const { pid } = (await cluster.status()).workers[0]!;
  await run('prlimit', ['--pid', String(pid), '--nofile=64:64']);
  const clients = Array.from({ length: 100 }, () => connect(cluster.port, '127.0.0.1').on('error', () => {}));
  t.after(() => { for (const client of clients) client.destroy(); });

  await eventually(async () => (await cluster.status()).workers[0]!.rss === null);
  const heard = (await cluster.status()).workers[0]!;
  await eventually(async () => Number((await cluster.status()).workers[0]!.lastSample) < 900);
  assert.equal(heard.pid, pid, 'it is the same process');
  assert.equal(heard.restarts, 0);
  for (const client of clients) client.destroy();
  await eventually(async () => (await cluster.status()).workers[0]!.rss !== null);
  assert.equal((await get(cluster.url)).json.pid, pid);
  await cluster.stop();
});
