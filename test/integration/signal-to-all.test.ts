import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster, type TestCluster } from '../helpers/cluster.js';
import { costlyApp } from '../helpers/flood.js';
import { get } from '../helpers/http-get.js';
import { answering, ownApp } from '../helpers/own-app.js';
import { once } from '../helpers/raw-client.js';

/** As systemd with its default KillMode, `timeout` and `kill -- -PID` do: to the master, the agent and each worker. */
const signalAll = ({ pid }: TestCluster): void => { process.kill(-pid, 'SIGTERM'); };

test('SIGTERM to all processes: the agent stays until the workers are gone', async (t) => {
  const { dir } = ownApp(t, { 'app.js': answering('one'), 'agent.js': '', '.clusterrc': { workers: 2 } });
  const cluster = await startCluster(t, dir);
  const slow = once({ port: cluster.port }, 'GET', '/?delay=500');
  await get(cluster.url);
  signalAll(cluster);
  assert.equal((await slow).status, 200);
  assert.equal((await cluster.ended()).code, 0);
  const ends = [...cluster.output.matchAll(/(agent|app)_worker#.* exited with code 0/g)].map(([, role]) => role);
  assert.deepEqual(ends, ['app', 'app', 'agent'], cluster.output);
  await cluster.assertNothingLeft();
});

test('SIGTERM to all processes: workers answer while the load balancer is waited for', async (t) => {
  const { dir } = ownApp(t, {
    'app.js': answering('one'), '.clusterrc': { workers: 2, plugins: { 'graceful-exit': { shutdownDelay: 1_000 } } },
  });
  const cluster = await startCluster(t, dir);
  signalAll(cluster);
  await cluster.waitFor(/waiting 1000ms/);
  assert.equal((await get(cluster.url)).status, 200);
  assert.equal((await cluster.ended()).code, 0);
});

/** `cost`: of an answer, ms. A worker that takes longer for one than the master's answer may, reads that one late. */
for (const { cost, clients } of [{ cost: 60, clients: 30 }, { cost: 1_300, clients: 5 }]) {
  test(`SIGTERM to all processes: who waits in the master is answered, though each takes a worker ${cost} ms`, async (t) => {
    const { dir } = ownApp(t, { 'app.js': costlyApp(cost), '.clusterrc': { workers: 1 } });
    const cluster = await startCluster(t, dir);
    const all = Array.from({ length: clients }, () => once({ port: cluster.port }, 'GET', '/'));
    await Promise.any(all);
    signalAll(cluster);
    const answers = await Promise.allSettled(all);
    assert.deepEqual(answers.filter(({ status }) => status === 'rejected'), []);
    assert.equal((await cluster.ended()).code, 0);
  });
}
