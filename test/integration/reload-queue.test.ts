import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { answering, ownApp } from '../helpers/own-app.js';

/** Ready after 500 ms, so that a reload takes its time. */
const slowBoot = answering('a', 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);');

test('of several reloads that wait with --queue each has its turn', async (t) => {
  const app = ownApp(t, { 'server.js': slowBoot });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'] });
  const first = cluster.run('reload');
  await cluster.waitFor(/reloading 1 worker,/);
  const queued = await Promise.all([1, 2, 3].map(() => cluster.run('reload', ['--queue'])));
  assert.equal((await first).code, 0);
  for (const { code, stderr } of queued) assert.equal(code, 0, stderr);
  assert.equal((await cluster.status()).workers[0]?.generation, 5);
});

test('SIGHUP and SIGTTIN that come while a reload waits are not lost; a second SIGHUP is the same one, and said', async (t) => {
  const app = ownApp(t, { 'server.js': slowBoot });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'] });
  const first = cluster.run('reload');
  await cluster.waitFor(/reloading 1 worker,/);
  const queued = cluster.run('reload', ['--queue']);
  cluster.signal('SIGHUP');
  cluster.signal('SIGTTIN');
  await cluster.waitFor(/SIGHUP: a reload waits for its turn$/m);
  cluster.signal('SIGHUP');
  await cluster.waitFor(/SIGHUP: a reload waits for its turn already/);
  assert.equal((await first).code, 0);
  assert.equal((await queued).code, 0);
  await eventually(async () => {
    const { workers } = await cluster.status();
    return workers.filter(({ state }) => state === 'ready').length === 2 && workers[0]?.generation === 4;
  });
});

test('a close refuses what waits', async (t) => {
  const app = ownApp(t, { 'server.js': slowBoot });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'] });
  const first = cluster.run('reload');
  await cluster.waitFor(/reloading 2 workers/);
  const queued = cluster.run('reload', ['--queue']);
  await cluster.waitFor(/command: a reload waits for its turn/);
  await cluster.stop(3_000);
  assert.equal((await first).code, 1);
  const { code, stderr } = await queued;
  assert.equal(code, 1);
  assert.match(stderr, /closing|went away/);
  await cluster.assertNothingLeft();
});
