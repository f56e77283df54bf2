import assert from 'node:assert/strict';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { freePort, startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { answering, ownApp } from '../helpers/own-app.js';

/** Ready after 600 ms, so that a reload takes its time. */
const slowBoot = (text: string, ms = 600) => answering(text, `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${ms});`);

test('a second reload is refused by name, with --queue it follows', async (t) => {
  const app = ownApp(t, { 'server.js': slowBoot('a') });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'] });
  const first = cluster.run('reload');
  await cluster.waitFor(/reloading 2 workers/);
  const [second, queued] = await Promise.all([cluster.run('reload'), cluster.run('reload', ['--queue'])]);
  assert.equal((await first).code, 0);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /reload refused: a reload is under way/);
  assert.equal(queued.code, 0, queued.stderr);
  assert.equal((await cluster.status()).workers[0]?.generation, 3);
});

test('scale during a reload is refused', async (t) => {
  const app = ownApp(t, { 'server.js': slowBoot('a') });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'] });
  const reload = cluster.run('reload');
  await cluster.waitFor(/reloading 1 worker,/);
  const scale = await cluster.run('scale', ['3']);
  assert.equal(scale.code, 1);
  assert.match(scale.stderr, /scale refused: a reload is under way/);
  assert.equal((await reload).code, 0);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} during a reload wins at once and leaves nothing`, async (t) => {
    const app = ownApp(t, { 'server.js': slowBoot('a') });
    const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'] });
    const reload = cluster.run('reload');
    await cluster.waitFor(/reloading 2 workers/);
    cluster.signal(signal);
    assert.equal((await cluster.ended(3_000)).code, 0);
    assert.equal((await reload).code, 1);
    await cluster.assertNothingLeft();
  });
}

test('an old worker crashes during the reload: its slot is filled, the reload goes on', async (t) => {
  const app = ownApp(t, { 'server.js': slowBoot('old') });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '3'] });
  const { workers } = await cluster.status();
  app.write('server.js', slowBoot('new'));
  const reload = cluster.run('reload');
  await cluster.waitFor(/reloading 3 workers/);
  process.kill(workers[2]!.pid, 'SIGKILL');
  assert.equal((await reload).code, 0, (await reload).stderr);
  await eventually(async () => (await cluster.status()).state === 'running');
  const after = await cluster.status();
  assert.deepEqual(after.workers.map(({ slot, generation, state }) => [slot, generation, state]),
    [[0, 2, 'ready'], [1, 2, 'ready'], [2, 2, 'ready']]);
  await cluster.stop();
  await cluster.assertNothingLeft();
});

test('the canary is killed: the reload ends, the old workers are untouched', async (t) => {
  const app = ownApp(t, { 'server.js': slowBoot('a', 2_000) });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'] });
  const before = (await cluster.status()).workers.map(({ pid }) => pid);
  const reload = cluster.run('reload');
  await eventually(async () => {
    const canary = (await cluster.status()).workers.find(({ generation }) => generation === 2);
    if (canary) process.kill(canary.pid, 'SIGKILL');
    return canary !== undefined;
  });
  assert.equal((await reload).code, 1);
  assert.deepEqual((await cluster.status()).workers.map(({ pid }) => pid), before);
});

test('a symlinked release is followed: code, configuration and working directory of the new one', async (t) => {
  const app = ownApp(t, {});
  for (const release of ['1', '2']) {
    mkdirSync(path.join(app.dir, release));
    writeFileSync(path.join(app.dir, release, 'server.js'), answering(release, `
      const where = process.cwd() + ' ' + process.env.FROM;
      require('node:fs').writeFileSync('where', where);`));
    writeFileSync(path.join(app.dir, release, '.clusterrc'), JSON.stringify({ env: { FROM: release } }));
  }
  const current = path.join(app.dir, 'current');
  symlinkSync('1', current);
  const cluster = await startCluster(t, current, { flags: ['-w', '2'] });
  assert.equal((await get(cluster.url)).json.text, '1');
  symlinkSync('2', `${current}.new`);
  renameSync(`${current}.new`, current);
  const reload = await cluster.run('reload');
  assert.equal(reload.code, 0, reload.stderr);
  assert.equal((await get(cluster.url)).json.text, '2');
  const { readFileSync } = await import('node:fs');
  assert.equal(readFileSync(path.join(app.dir, '2', 'where'), 'utf8'), `${path.join(app.dir, '2')} 2`);
});

test('the new configuration has another port: it is served there, and the old port is closed', async (t) => {
  const [before, after] = [await freePort(), await freePort()];
  const app = ownApp(t, { 'server.js': answering('a'), '.clusterrc': { port: before } });
  const cluster = await startCluster(t, app.dir, { port: false, flags: ['-w', '2'] });
  app.write('.clusterrc', { port: after });
  const reload = await cluster.run('reload');
  assert.equal(reload.code, 0, reload.stderr);
  assert.equal((await get(`http://127.0.0.1:${after}`)).json.text, 'a');
  await assert.rejects(get(`http://127.0.0.1:${before}`), { code: 'ECONNREFUSED' });
});

test('a broken configuration refuses the reload with its line; the workers go on', async (t) => {
  const app = ownApp(t, { 'server.js': answering('a'), '.clusterrc': { reload: { batch: 2 } } });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'] });
  app.write('.clusterrc', '{ "reload": { "batch": "many" } }');
  const reload = await cluster.run('reload');
  assert.notEqual(reload.code, 0);
  assert.match(reload.stderr, /\.clusterrc: reload\.batch: expected a whole number/);
  assert.equal((await get(cluster.url)).json.text, 'a');
});
