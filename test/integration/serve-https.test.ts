import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fixture, startCluster } from '../helpers/cluster.js';
import { get, get2 } from '../helpers/http-get.js';

const certificate = ['--https.key', path.join(fixture('https'), 'key.pem'), '--https.cert', path.join(fixture('https'), 'cert.pem')];

test('https: an exported app is served with the configured certificate', async (t) => {
  const cluster = await startCluster(t, 'https', { flags: ['-w', '1'] });
  const { json } = await get(`https://127.0.0.1:${cluster.port}`);
  assert.equal(json.by, 'express');
  assert.equal(json.secure, true);
  const { workers, address } = await cluster.status();
  assert.equal(workers.length, 1);
  assert.match(String(address), new RegExp(`^https://.*:${cluster.port}`));
  assert.equal((await cluster.stop()).code, 0);
});

for (const name of ['cjs-listener', 'koa', 'hono']) {
  test(`https by flags: ${name}`, async (t) => {
    const cluster = await startCluster(t, name, { flags: ['-w', '1', ...certificate] });
    assert.equal((await get(`https://127.0.0.1:${cluster.port}`)).status, 200);
  });
}

test('an exported server that speaks plain HTTP is refused where https is configured', async (t) => {
  const cluster = await startCluster(t, 'fastify', { flags: ['-w', '1', ...certificate], ready: false });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /brings a server of its own that speaks plain HTTP/);
});

test('an exported HTTP/2 server with a certificate of its own', async (t) => {
  const cluster = await startCluster(t, 'http2', { flags: ['-w', '1'] });
  assert.equal((await get2(`https://127.0.0.1:${cluster.port}`)).json.version, '2.0');
  assert.equal((await get(`https://127.0.0.1:${cluster.port}`)).json.version, '1.1');
});

test('a clear-text HTTP/2 server that listens by itself', async (t) => {
  const cluster = await startCluster(t, 'http2-clear', { flags: ['-w', '1'] });
  assert.equal((await get2(cluster.url)).json.by, 'h2c');
});
