import assert from 'node:assert/strict';
import test from 'node:test';
import { fixture, startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { answering, ownApp } from '../helpers/own-app.js';
import { withConfig } from '../helpers/with-config.js';

/** Slot 1 exits with code 7 shortly after each start. */
const crashing = (after = 600) => ({ CRASH_SLOT: '1', CRASH_AFTER: String(after) });

test('a crash loop on one slot: growing delay, bounded forks, the other serves, state degraded, the reason in status', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '2'], env: crashing() });
  await cluster.waitFor(/slot 1 is forked again in 1600ms/, 25_000);
  const status = await cluster.status();
  assert.equal(status.state, 'degraded');
  assert.equal(status.refork.delays['1'], 1_600);
  const [served, waiting, ...others] = status.workers;
  assert.deepEqual([served?.state, others], ['ready', []]);
  const { forkIn, endsInRow, lastExit, ...empty } = waiting!;
  assert.deepEqual([empty.slot, empty.state, empty.pid, empty.id, empty.startedAt, empty.rss], [1, 'waiting', null, null, null, null]);
  assert.ok(forkIn! > 0 && forkIn! <= 1_600, `${forkIn} ms`);
  assert.ok(endsInRow! >= 6, `${endsInRow} ends`);
  assert.ok(lastExit!.code === 7 && lastExit!.afterReady! >= 0 && lastExit!.afterReady! <= lastExit!.uptime, JSON.stringify(lastExit));
  assert.match((await cluster.run('status')).stdout, /^worker#1 +waiting( \d\.\d s)?, \d+ ends in a row, last: exit 7, \S+ after ready$/m);
  for (let i = 0; i < 20; i++) assert.equal((await get(cluster.url)).json.slot, '0');
  const forks = cluster.output.match(/slot 1\) exited with code 7/g)?.length ?? 0;
  assert.ok(forks >= 6 && forks <= 8, `${forks} forks`);
});

test('an app that ends itself by SIGTERM again and again is given the growing delay too, and no death is counted', async (t) => {
  const app = ownApp(t, {
    'server.js': answering('short', 'if (process.env.CLUSTER_SLOT === "1") setTimeout(() => process.kill(process.pid, "SIGTERM"), 300);'),
  });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'] });
  await cluster.waitFor(/slot 1 is forked again in 800ms/, 15_000);
  const { refork } = await cluster.status();
  assert.equal(refork.inWindow, 0);
  for (let i = 0; i < 5; i++) assert.equal((await get(cluster.url)).json.text, 'short');
});

test('the limit with onLimit: exit ends the service with exit code 1', async (t) => {
  const cluster = await startCluster(t, 'life', {
    env: crashing(600), flags: ['--config', withConfig(t, { workers: 2, refork: { limit: 3, onLimit: 'exit' } })],
  });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /refork limit reached: 3 deaths within 60000ms/);
  await cluster.assertNothingLeft();
});

test('the limit with onLimit: degrade keeps the survivors and never loses the slot', async (t) => {
  const cluster = await startCluster(t, 'life', {
    env: crashing(600), flags: ['--config', withConfig(t, { workers: 2, refork: { limit: 3, maxDelay: 700, duration: 10_000 } })],
  });
  await cluster.waitFor(/refork limit reached/);
  await cluster.waitFor(/slot 1 is forked again in 700ms/);
  const from = cluster.output.length;
  await cluster.waitFor(/slot 1\) started/, 10_000, from);
  assert.equal((await get(cluster.url)).json.slot, '0');
});

test('a reachReforkLimit tap decides', async (t) => {
  const config = { workers: 2, agent: false, refork: { limit: 3 }, plugins: { [fixture('plugins/gates.mjs')]: { onLimit: 'exit' } } };
  const cluster = await startCluster(t, 'life', { env: crashing(600), flags: ['--config', withConfig(t, config)] });
  assert.equal((await cluster.ended()).code, 1);
});

test('a worker that is ready and dies before the others are ends the start: exit 1, nothing left', async (t) => {
  const cluster = await startCluster(t, 'life', {
    ready: false, env: { CRASH_SLOT: '1', CRASH_AFTER: '300', BOOT_DELAY_SLOT: '0' }, flags: ['-w', '2'],
  });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /worker#1 died before all were ready: exited with code 7/);
  await cluster.assertNothingLeft();
});
