import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { Load } from '../helpers/load.js';
import { ownApp } from '../helpers/own-app.js';
import { slowApp, waits } from '../helpers/standby.js';

test('a reload under load begins with one of the new release that has loaded, and loses nothing', async (t) => {
  const { dir } = ownApp(t, { 'app.js': slowApp, '.clusterrc': { standby: 1 } });
  const cluster = await startCluster(t, dir, { flags: ['-w', '2'] });
  const old = await waits(cluster);
  const load = new Load({ keepAlive: 2, perConnection: 2 }, { http: { port: cluster.port }, pause: 5 }, t);
  const { code, stdout, stderr } = await cluster.run('reload', [], 40_000);
  assert.equal(code, 0, stdout + stderr);
  await load.stop();
  assert.equal(load.lost, 0, load.report());
  const [, pid] = /\d+:(\d+) \(standby\) stands by, generation 2/.exec(cluster.output) ?? [];
  await cluster.waitFor(new RegExp(`:${pid} \\(slot 0\\) started`));
  const next = await waits(cluster, [old.pid]);
  assert.equal(next.generation, 2);
  const { workers } = await cluster.status();
  assert.deepEqual(workers.map(({ generation }) => generation), [2, 2]);
});

test('a reload to code that does not load shows its error, and the one that waits is there as before', async (t) => {
  const { dir, write } = ownApp(t, { 'app.js': slowApp, '.clusterrc': { standby: 1 } });
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'] });
  const spare = await waits(cluster);
  write('app.js', 'throw new Error("no database");');
  const { code, stderr } = await cluster.run('reload', [], 40_000);
  assert.equal(code, 1);
  assert.match(stderr, /no database/);
  const status = await cluster.status();
  assert.deepEqual(status.standby.map(({ pid, state }) => [pid, state]), [[spare.pid, 'loaded']]);
  process.kill(status.workers[0]!.pid, 'SIGKILL');
  await cluster.waitFor(/slot 0\) was ended by SIGKILL/);
  assert.equal((await get(cluster.url)).json.pid, spare.pid);
});

test('scale takes it first', async (t) => {
  const { dir } = ownApp(t, { 'app.js': slowApp, '.clusterrc': { standby: 1 } });
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'] });
  const spare = await waits(cluster);
  assert.equal((await cluster.run('scale', ['+1'])).code, 0);
  assert.equal((await cluster.status()).workers[1]!.pid, spare.pid);
});
