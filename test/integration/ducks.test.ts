import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import http from 'node:http';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster, type Scope, type TestCluster } from '../helpers/cluster.js';
import { withConfig } from '../helpers/with-config.js';

const start = (t: Scope, plugins: object, more: object = {}) => startCluster(t, 'drain-app', {
  flags: ['--config', withConfig(t, { workers: 1, agent: false, plugins: { metrics: true, ...plugins }, ...more })],
});

const exists = (pid: number): boolean => existsSync(`/proc/${pid}`);

/** `whole`, with every chunk there, or how it ended otherwise. */
function stream(cluster: TestCluster, chunks: number, ms: number): Promise<string> {
  return new Promise((resolve) => {
    const request = http.get({ port: cluster.port, path: `/stream?chunks=${chunks}&ms=${ms}`, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (data) => { text += String(data); });
      answer.on('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
      answer.on('end', () => resolve(text.split('\n').length - 1 === chunks ? 'whole' : `${text.length} characters that look whole`));
    });
    request.on('error', ({ code }: NodeJS.ErrnoException) => resolve(String(code)));
  });
}

test('a worker with a stream left is out of its slot: reload goes on, status shows it apart, it ends with the stream', async (t) => {
  const cluster = await start(t, { 'graceful-exit': { timeout: 20_000 } });
  const { pid } = (await cluster.status()).workers[0]!;
  const answer = stream(cluster, 80, 50);
  await delay(200);
  const began = performance.now();
  await cluster.run('reload');
  assert.ok(performance.now() - began < 3_000, `${performance.now() - began} ms`);
  const status = await cluster.status();
  assert.equal(status.state, 'running');
  assert.deepEqual(status.workers.map(({ state, generation }) => [state, generation]), [['ready', 2]]);
  const [duck] = status.ducks;
  assert.deepEqual([duck?.pid, duck?.slot, duck?.generation, duck?.streams], [pid, 0, 1, 1]);
  assert.ok(Date.parse(duck!.until) - Date.now() > 500_000);
  assert.equal(await answer, 'whole');
  await cluster.waitFor(() => !exists(pid));
  assert.deepEqual((await cluster.status()).ducks, []);
  assert.match(cluster.output, /app_worker#1:\d+ \(slot 0\) is out of its slot: it finishes 1 stream, within \d+ s/);
  await cluster.stop();
});

test('the next reload ends what the one before has left behind, visibly', async (t) => {
  const cluster = await start(t, { 'graceful-exit': { timeout: 5_000, moveWithin: 1_000 } });
  const first = stream(cluster, 1_000, 50);
  await delay(200);
  await cluster.run('reload');
  const second = stream(cluster, 100, 50);
  await delay(200);
  await cluster.run('reload');
  assert.equal(await first, 'ECONNRESET');
  const generations = (await cluster.status()).ducks.map(({ generation }) => generation);
  assert.ok(generations.includes(2), String(generations));
  assert.equal(await second, 'whole');
  await cluster.waitFor(/WARN .*app_worker#1:.*\(1 request cut\).*\n {4}GET \/stream, \d/);
  assert.equal((await cluster.status()).cut, 1);
  await cluster.stop();
});

test('a stop ends a duck with the rest, within the time of every request', async (t) => {
  const cluster = await start(t, { 'graceful-exit': { timeout: 2_000 } });
  const { pid } = (await cluster.status()).workers[0]!;
  const answer = stream(cluster, 10_000, 50);
  await delay(200);
  await cluster.run('reload');
  assert.equal((await cluster.status()).ducks.length, 1);
  const began = performance.now();
  await cluster.stop();
  assert.equal(await answer, 'ECONNRESET');
  assert.ok(performance.now() - began < 3_500, `${performance.now() - began} ms`);
  assert.equal(exists(pid), false);
  await cluster.assertNothingLeft();
});

test('no duck outlives its master', async (t) => {
  const cluster = await start(t, { 'graceful-exit': { timeout: 2_000 } });
  const { pid } = (await cluster.status()).workers[0]!;
  const answer = stream(cluster, 10_000, 50);
  await delay(200);
  await cluster.run('reload');
  cluster.signal('SIGKILL');
  assert.equal(await answer, 'ECONNRESET');
  await cluster.waitFor(() => !exists(pid));
});

test('after a worker got SIGTERM, or was scaled away, its streams go on', async (t) => {
  const cluster = await start(t, {}, { workers: 2 });
  const [one, two] = (await cluster.status()).workers;
  const answers = Array.from({ length: 4 }, () => stream(cluster, 60, 50));
  await delay(200);
  process.kill(one!.pid, 'SIGTERM');
  await cluster.run('scale', ['1']);
  const { ducks } = await cluster.status();
  assert.deepEqual(new Set(ducks.map(({ pid }) => pid)), new Set([one!.pid, two!.pid]));
  assert.deepEqual(await Promise.all(answers), ['whole', 'whole', 'whole', 'whole']);
  await cluster.stop();
});

test('limits of memory hold for a duck, and so does the watch for one that hangs', async (t) => {
  const cluster = await start(t, { 'graceful-exit': { moveWithin: 100 }, 'health-check': { hangTimeout: 1_000, maxRss: '300MB' } });
  const { pid } = (await cluster.status()).workers[0]!;
  const answers = [stream(cluster, 10_000, 50), stream(cluster, 10_000, 50)];
  await delay(200);
  await cluster.run('reload');
  assert.equal((await cluster.status()).ducks[0]?.pid, pid);
  process.kill(pid, 'SIGSTOP');
  await cluster.waitFor(/worker#0 .* is unresponsive and is ended/);
  assert.ok((await Promise.all(answers)).every((how) => how !== 'whole'));
  assert.equal((await cluster.status()).workers[0]?.generation, 2);
  await cluster.stop();
});
