import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { slowApp, waits } from '../helpers/standby.js';

const title = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', '').trim();

test('a worker that is SIGKILLed: the one that waits serves its slot long before an app could load, and is replaced behind', async (t) => {
  const { dir } = ownApp(t, { 'app.js': slowApp, '.clusterrc': { standby: 1 } });
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'] });
  const spare = await waits(cluster);
  assert.deepEqual([spare.slot, spare.generation], [null, 1]);
  const { workers: [first] } = await cluster.status();
  assert.ok(process.platform !== 'linux' || title(spare.pid).endsWith(': standby'));
  await cluster.waitFor(new RegExp(`loaded by ${spare.pid} slot undefined\n`));
  await cluster.waitFor(new RegExp(`listen returned ${spare.pid} false\n`));
  assert.doesNotMatch(cluster.output, new RegExp(`(listening|called back) ${spare.pid}`));

  process.kill(first!.pid, 'SIGKILL');
  await cluster.waitFor(/slot 0\) was ended by SIGKILL/);
  const answer = await get(cluster.url);
  assert.deepEqual(answer.json, { pid: spare.pid, slot: '0' });
  await cluster.waitFor(new RegExp(`called back ${spare.pid} slot 0\n`));
  await cluster.waitFor(new RegExp(`listening ${spare.pid} slot 0\n`));
  assert.ok(process.platform !== 'linux' || title(spare.pid).endsWith(': worker#0'));
  const next = await waits(cluster, [spare.pid]);
  const { workers: [adopted], standby } = await cluster.status();
  assert.deepEqual([adopted!.pid, adopted!.slot, adopted!.restarts, adopted!.lastExit?.signal], [spare.pid, 0, 1, 'SIGKILL']);
  assert.deepEqual(standby.map(({ pid }) => pid), [next.pid]);
  await cluster.stop();
  await cluster.assertNothingLeft();
});

test('one that dies, or is told to go, as it waits is replaced, and no slot has lost anything', async (t) => {
  const { dir } = ownApp(t, { 'app.js': slowApp, '.clusterrc': { standby: 1 } });
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'] });
  const first = await waits(cluster);
  process.kill(first.pid, 'SIGKILL');
  const second = await waits(cluster, [first.pid]);
  process.kill(second.pid, 'SIGTERM');
  await cluster.waitFor(/\(standby\) exited with code 0/);
  const status = await cluster.status();
  assert.deepEqual([status.refork.inWindow, status.workers[0]!.restarts], [0, 0]);
  assert.equal(status.state, 'running');
});

test('a stop while it loads, and the end of the master while it waits, leave nothing', async (t) => {
  const { dir, write } = ownApp(t, { '.clusterrc': { standby: 2 }, 'app.js': `
    const begin = () => require('node:http').createServer().listen(process.env.PORT);
    if (process.env.CLUSTER_SLOT === undefined) setTimeout(begin, 60_000);
    else begin();` });
  const stopped = await startCluster(t, dir, { flags: ['-w', '1'] });
  await eventually(async () => (await stopped.status()).standby.some(({ state }) => state === 'loading'));
  assert.equal((await stopped.stop()).code, 0);
  await stopped.assertNothingLeft();
  write('app.js', slowApp);
  const killed = await startCluster(t, dir, { flags: ['-w', '1'] });
  await waits(killed);
  killed.signal('SIGKILL');
  await killed.waitFor(() => killed.processes().length === 0, 10_000);
});
