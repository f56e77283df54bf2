import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';

for (const [file, served] of [['app.js', 'plugin'], ['callback.mjs', 'callback']] as const) {
  test(`an exported Fastify plugin (${file}) is served by an app that has it, and reloads`, async (t) => {
    const cluster = await startCluster(t, `${fixture('fastify-plugin')}/${file}`, { flags: ['-w', '2'] });
    assert.equal((await get(cluster.url)).json.served, served);
    assert.equal((await cluster.run('reload')).code, 0);
    assert.equal((await get(cluster.url)).json.served, served);
    assert.equal((await cluster.stop()).code, 0);
  });
}

test('what a plugin throws while it is loaded fails the start', async (t) => {
  const cluster = await startCluster(t, `${fixture('fastify-plugin')}/broken.js`, { flags: ['-w', '1'], ready: false });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /failed: no such schema/);
});
