import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster, type Scope } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { once } from '../helpers/raw-client.js';
import { withConfig } from '../helpers/with-config.js';

const start = (t: Scope, app: string, timeout: number, more: object = {}) => startCluster(t, app, {
  flags: ['--config', withConfig(t, { workers: 1, agent: false, plugins: { 'graceful-exit': { timeout }, metrics: true }, ...more })],
});
/** A request that is not to be answered. */
const lost = (port: number, path: string) => once({ port }, 'GET', path).then(() => 'answered', () => 'lost');

test('requests cut at the deadline: a warning with what they were, in the status, the metrics and the result of the reload', async (t) => {
  const cluster = await start(t, 'drain-app', 2_000);
  const requests = [lost(cluster.port, '/slow?ms=60000&secret=1'), lost(cluster.port, '/slow?ms=50000')];
  await delay(200);
  const { stdout } = await cluster.run('reload');
  assert.deepEqual(await Promise.all(requests), ['lost', 'lost']);
  assert.match(stdout, /; 2 requests were cut/);
  const [line] = await cluster.waitFor(/WARN .*app_worker#1:.* exited with code 0 \(2 requests cut\) after \d+ms, in flight were:\n.*\n.*/);
  assert.match(line, /\n {4}GET \/slow, \d\.\d s\n {4}GET \/slow, \d\.\d s/);
  assert.doesNotMatch(cluster.output, /secret|app_worker#1:.*\(requested\)/);
  const status = await cluster.status();
  assert.deepEqual([status.cut, status.lastReload?.cut, status.workers[0]?.lastExit?.cut], [2, 2, 2]);
  await cluster.stop();
});

test('a worker that is killed while it drains', async (t) => {
  const cluster = await start(t, 'drain-app', 20_000);
  const { pid } = (await cluster.status()).workers[0]!;
  const request = lost(cluster.port, '/slow?ms=60000');
  await delay(200);
  const reload = cluster.run('reload');
  await cluster.waitFor(/draining pid/);
  await delay(300);
  process.kill(pid, 'SIGKILL');
  assert.equal(await request, 'lost');
  await reload;
  await cluster.waitFor(/WARN .*app_worker#1:.* was ended by SIGKILL \(1 request cut\) .*\n {4}GET \/slow, \d\.\d s/);
  await cluster.stop();
});

test('a second signal to the master says what it costs', async (t) => {
  const cluster = await start(t, 'drain-app', 20_000);
  const request = lost(cluster.port, '/slow?ms=60000');
  await delay(200);
  cluster.signal('SIGTERM');
  await delay(800);
  cluster.signal('SIGTERM');
  assert.equal(await request, 'lost');
  await cluster.ended();
  assert.match(cluster.output, /WARN .*app_worker#1:.* exited with code 0 \(1 request cut\)/);
});

test('what is answered in time is not cut', async (t) => {
  const cluster = await start(t, 'drain-app', 5_000);
  const request = once({ port: cluster.port }, 'GET', '/slow?ms=1500');
  await delay(200);
  const { stdout } = await cluster.run('reload');
  assert.equal((await request).status, 200);
  assert.doesNotMatch(stdout, /cut/);
  assert.match(cluster.output, /INFO .*app_worker#1:.* exited with code 0 \(requested\)/);
  assert.equal((await cluster.status()).cut, 0);
  await cluster.stop();
});

test('an onClose function that does not end is named when its worker is killed', async (t) => {
  const cluster = await startCluster(t, 'drain-handlers', {
    env: { MODE: 'hang' },
    flags: ['--config', withConfig(t, { workers: 1, plugins: { 'graceful-exit': { timeout: 1_000 } } })],
  });
  await cluster.stop();
  assert.match(cluster.output,
    /WARN .*app_worker#1:.* was ended by SIGKILL \(killed at its deadline of 1000ms\) after \d+ms: it waited for "database pool"/);
});

test('a worker that hangs while it drains leaves its stack, and what it has not answered', async (t) => {
  const cluster = await start(t, 'leaves', 3_000);
  const request = get(`${cluster.url}/loop?token=1`).catch(() => 'lost');
  await delay(200);
  await cluster.run('reload', [], 30_000);
  assert.equal(await request, 'lost');
  const [told] = await cluster.waitFor(/WARN .*worker#0 \(pid \d+\) hung while it drained[\s\S]*JavaScript stack:\n.*server\.js:\d+/);
  assert.match(told, /server\.js/);
  const [line] = await cluster.waitFor(/WARN .*app_worker#1:.* was ended by SIGKILL .*\n {4}GET \/loop, \d/);
  assert.match(line, /\(killed at its deadline of 3000ms, 1 request cut\)/);
  await cluster.stop();
});
