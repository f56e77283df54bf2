import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { unsuited } from '../helpers/skips.js';

const run = promisify(execFile);

test('a worker at its limit of descriptors lives on: what cannot be measured is null', {
  skip: process.platform === 'linux' ? false : unsuited.linux,
}, async (t) => {
  const app = ownApp(t, { 'server.js': `const { closeSync, openSync } = require('node:fs');
require('node:http').createServer((request, response) => {
  if (request.url !== '/use-up') return response.end(JSON.stringify({ pid: process.pid }));
  const used = [];
  try {
    for (;;) used.push(openSync('/dev/null'));
  } catch {
    request.on('close', () => used.forEach((one) => closeSync(one)));
  }
}).listen(process.env.PORT);` });
  const cluster = await startCluster(t, app.dir, { flags: ['--workers', '1'] });
  const { pid } = (await cluster.status()).workers[0]!;
  await run('prlimit', ['--pid', String(pid), '--nofile=128:128']);
  const client = connect(cluster.port, '127.0.0.1', () => client.write('GET /use-up HTTP/1.1\r\nHost: x\r\n\r\n'));
  t.after(() => client.destroy());

  await eventually(async () => (await cluster.status()).workers[0]!.rss === null);
  const heard = (await cluster.status()).workers[0]!;
  await eventually(async () => Number((await cluster.status()).workers[0]!.lastSample) < 900);
  assert.equal(heard.pid, pid, 'it is the same process');
  assert.equal(heard.restarts, 0);
  const waits = get(cluster.url);
  client.destroy();
  await eventually(async () => (await cluster.status()).workers[0]!.rss !== null);
  assert.equal((await waits).json.pid, pid, 'who came meanwhile is answered');
  await cluster.stop();
});
