import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';

const exported = {
  'express-export': 'express',
  koa: 'koa',
  fastify: 'fastify',
  'nest-export': 'nest',
  'esm-export': 'esm',
  'cjs-listener': 'listener',
  'cjs-server': 'server',
};

for (const [name, by] of Object.entries(exported)) {
  test(`${name}: what the module exports is served`, async (t) => {
    const cluster = await startCluster(t, name, { flags: ['-w', '1'] });
    const { status, json } = await get(cluster.url);
    assert.equal(status, 200);
    assert.equal(json.by, by);
    assert.equal(String(json.slot), '0');
    if (name === 'fastify') assert.deepEqual(json.hooks, ['ready', 'listen'], "Fastify's own hooks have run");
    assert.equal((await cluster.stop()).code, 0);
    await cluster.assertNothingLeft();
  });
}

test('all of them listen on every address, as plain Node servers do', async (t) => {
  for (const name of ['fastify', 'koa']) {
    const cluster = await startCluster(t, name, { flags: ['-w', '1'] });
    assert.equal((await get(`http://[::1]:${cluster.port}/`)).status, 200, `${name} over IPv6`);
    assert.equal((await get(`http://127.0.0.1:${cluster.port}/`)).status, 200, `${name} over IPv4`);
    await cluster.dispose();
  }
});

test('--host is where an export is served', async (t) => {
  const cluster = await startCluster(t, 'fastify', { flags: ['-w', '1', '--host', '127.0.0.1'] });
  assert.equal((await get(cluster.url)).status, 200);
  await assert.rejects(get(`http://[::1]:${cluster.port}/`), { code: 'ECONNREFUSED' });
});
