import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';

test('a worker that is SIGKILLed is replaced in its slot, told as a crash, and the others go on', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '2'] });
  const before = (await cluster.status()).workers;
  process.kill(before[0]!.pid, 'SIGKILL');
  await cluster.waitFor(/slot 0\) was ended by SIGKILL \(crash\)/);
  await eventually(async () => (await cluster.status()).state === 'running');
  const after = (await cluster.status()).workers;
  assert.deepEqual(after.map(({ slot, restarts }) => [slot, restarts]), [[0, 1], [1, 0]]);
  assert.equal(after[1]?.pid, before[1]?.pid);
  assert.deepEqual([after[0]?.lastExit?.cause, after[0]?.lastExit?.signal, after[0]?.lastExit?.pid], ['crash', 'SIGKILL', before[0]?.pid]);
  assert.equal((await get(cluster.url)).status, 200);
  await cluster.stop();
  await cluster.assertNothingLeft();
});

test('a single worker dies: its clients wait for the replacement and are not refused', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '1'] });
  const { pid } = (await get(`${cluster.url}/exit?code=3`)).json;
  // What the worker had taken over when it exited is lost with it; this is about all that comes after.
  await cluster.waitFor(/exited with code 3/);
  const answers = await Promise.all(Array.from({ length: 20 }, () => get(cluster.url)));
  assert.ok(answers.every((answer) => answer.status === 200 && answer.json.pid !== pid));
});

test('SIGTERM to a worker: it exits 0 and is replaced at once', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '1'] });
  const pid = (await get(cluster.url)).json.pid as number;
  process.kill(pid, 'SIGTERM');
  await cluster.waitFor(/slot 0\) exited with code 0 \(requested\)/);
  assert.notEqual((await get(cluster.url)).json.pid, pid);
});

test('an app that closes Node\'s own channel is taken to leave, and replaced', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '1'] });
  const { pid } = (await get(`${cluster.url}/disconnect`)).json;
  await cluster.waitFor(new RegExp(`:${pid} \\(slot 0\\) (leaves|exited)`));
  assert.notEqual((await get(cluster.url)).json.pid, pid);
});
