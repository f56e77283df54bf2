import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { slowApp } from '../helpers/standby.js';

test('`perSlot`: each slot has its own, which knows it as it loads', async (t) => {
  const { dir } = ownApp(t, { 'app.js': slowApp, '.clusterrc': { standby: { perSlot: true } } });
  const cluster = await startCluster(t, dir, { flags: ['-w', '2'] });
  await eventually(async () => (await cluster.status()).standby.filter(({ state }) => state === 'loaded').length === 2, 40_000);
  const { standby, workers } = await cluster.status();
  assert.deepEqual(standby.map(({ slot }) => slot).sort(), [0, 1]);
  for (const { pid, slot } of standby) await cluster.waitFor(new RegExp(`loaded by ${pid} slot ${slot}\n`));
  process.kill(workers[1]!.pid, 'SIGKILL');
  await cluster.waitFor(/slot 1\) was ended by SIGKILL/);
  const own = standby.find(({ slot }) => slot === 1)!;
  await eventually(async () => (await get(cluster.url)).json.pid === own.pid, 20_000);
});
