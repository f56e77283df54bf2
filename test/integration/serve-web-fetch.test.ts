import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';

test('Hono is served, with request bodies and streams', async (t) => {
  const cluster = await startCluster(t, 'hono', { flags: ['-w', '1'] });
  const { status, json } = await get(cluster.url);
  assert.equal(status, 200);
  assert.equal(json.by, 'hono');
  const body = randomBytes(256 * 1024).toString('hex');
  assert.equal((await get(`${cluster.url}/echo`, { method: 'POST', body })).text, body);
  assert.equal((await get(`${cluster.url}/stream`)).text, 'one two three');
  assert.equal((await get(`${cluster.url}/none`)).status, 404);
  assert.equal((await cluster.stop()).code, 0);
});

test('any object with fetch(request) is served', async (t) => {
  const cluster = await startCluster(t, 'web-fetch', { flags: ['-w', '1'] });
  const { json } = await get(`${cluster.url}/some/where?x=1`, { method: 'POST', body: 'hi' });
  assert.equal(json.by, 'fetch');
  assert.equal(json.pathname, '/some/where');
  assert.equal(json.method, 'POST');
});
