import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { RawWebSocket } from '../helpers/raw-client-streams.js';

test('a reload leaves WebSockets working for upgradeTimeout, then ends them; new ones reach the new worker', async (t) => {
  const cluster = await startCluster(t, 'drain-app', { flags: ['--workers', '1'] });
  const old = new RawWebSocket({ port: cluster.port }, '/');
  await old.opened;
  const started = performance.now();
  const reload = cluster.run('reload', [], 20_000);
  await cluster.waitFor(/draining pid/);
  assert.equal(await old.echo('old'), 'old');
  const fresh = new RawWebSocket({ port: cluster.port }, '/');
  await fresh.opened;
  assert.equal(await old.closed, 'end');
  const took = performance.now() - started;
  assert.ok(took > 4_900 && took < 7_500, `${took} ms`);
  assert.equal((await reload).code, 0);
  assert.equal(await fresh.echo('new'), 'new');
  fresh.destroy();
  assert.equal((await cluster.stop()).code, 0);
});
