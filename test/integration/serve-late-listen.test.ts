import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';

test('an app that listens only when its database is there is ready then', async (t) => {
  const cluster = await startCluster(t, 'late-listen', { flags: ['-w', '2'] });
  assert.equal((await get(cluster.url)).json.by, 'late');
  assert.equal((await cluster.stop()).code, 0);
});

for (const name of ['late-listen-app', 'cjs-server']) {
  test(`${name}: an export that is served already may listen by itself later, on the same port`, async (t) => {
    const cluster = await startCluster(t, name, { flags: ['-w', '2'] });
    await cluster.waitFor(/the app listens[^]*the app listens/);
    assert.equal((await get(cluster.url)).status, 200);
    const { workers } = await cluster.status();
    assert.deepEqual(workers.map(({ restarts }) => restarts), [0, 0]);
    assert.equal((await cluster.stop()).code, 0);
  });
}
