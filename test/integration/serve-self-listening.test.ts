import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, startCluster } from '../helpers/cluster.js';
import { get, slotsSeen } from '../helpers/http-get.js';

test('a plain server is run on every worker, as node would run it', async (t) => {
  const cluster = await startCluster(t, 'hello', { flags: ['-w', '2'] });
  const { json } = await get(cluster.url);
  assert.equal(json.main, true, 'require.main === module');
  assert.deepEqual(json.argv, [`${fixture('hello')}/server.js`]);
  assert.deepEqual([...await slotsSeen(cluster.url, 2)].sort(), ['0', '1']);
  assert.equal((await cluster.stop()).code, 0);
  await cluster.assertNothingLeft();
});

for (const [name, by, deadline] of [
  ['express', 'express'], ['nest', 'nest', 30_000], ['fastify-listens', 'fastify'], ['esm-listens', 'esm'],
] as const) {
  test(`${name}: calls listen by itself`, async (t) => {
    // Where tsx is preloaded it takes the tsconfig.json of the working directory.
    const cluster = await startCluster(t, name, { flags: ['-w', '1'], deadline, cwd: fixture(name) });
    const { status, json } = await get(cluster.url);
    assert.equal(status, 200);
    assert.equal(json.by, by);
    assert.equal(json.slot, '0');
    assert.equal((await cluster.stop()).code, 0);
  });
}
