import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';
import { clients, skip } from '../helpers/reuse-port.js';

test('a worker whose server is full (maxConnections) drops nobody: another one gets what is too many', { skip }, async (t) => {
  const app = ownApp(t, { 'server.js': `
const server = require('node:http').createServer((request, response) => setTimeout(() => response.end(String(process.pid)), 300));
server.maxConnections = 4;
server.listen(process.env.PORT);` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'], env: { CLUSTER_BALANCE: 'reuse-port' } });
  const served = await Promise.all(clients(30, cluster.port).map(({ answer }) => answer));
  for (const text of served) assert.match(text, /^HTTP\/1\.1 200 OK \d+$/);
  assert.equal((await cluster.stop()).code, 0);
});

test('a worker that is short of descriptors drops none either', { skip }, async (t) => {
  const app = ownApp(t, { 'server.js': `
const server = require('node:http').createServer((request, response) => setTimeout(() => response.end(String(process.pid)), 1_000));
server.listen(process.env.PORT);` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'], env: { CLUSTER_BALANCE: 'reuse-port' }, descriptors: 80 });
  const served = await Promise.all(clients(250, cluster.port).map(({ answer }) => answer));
  assert.deepEqual([...new Set(served.map((text) => text.slice(0, 15)))], ['HTTP/1.1 200 OK'], cluster.output);
  assert.equal((await cluster.stop()).code, 0);
});
