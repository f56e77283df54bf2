import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { clients, queues, skip } from '../helpers/reuse-port.js';

const start = (t: TestContext, workers: number) =>
  startCluster(t, 'drain-app', { flags: ['-w', String(workers)], env: { CLUSTER_BALANCE: 'reuse-port' } });

const waiting = (pid: number, port: number): number => queues(pid, port).reduce((sum, count) => sum + count, 0);
const answers = async (all: { answer: Promise<string> }[]): Promise<string[]> => Promise.all(all.map(({ answer }) => answer));

test('workers take connections by themselves, with the master stopped too', { skip }, async (t) => {
  const cluster = await start(t, 2);
  assert.equal(queues(cluster.pid, cluster.port).length, 2, 'a socket for each slot');
  await Promise.all(clients(20, cluster.port).map(({ answer }) => answer));
  cluster.signal('SIGSTOP');
  const served = await answers(clients(40, cluster.port));
  cluster.signal('SIGCONT');
  assert.equal(new Set(served).size, 2, 'both workers');
  for (const text of served) assert.match(text, /^HTTP\/1\.1 200 OK \d+$/);
});

test('what waits in the kernel for a worker that is killed is answered by another, before there is a new one', { skip }, async (t) => {
  const cluster = await start(t, 2);
  const [stopped = 0] = cluster.workerPids();
  process.kill(stopped, 'SIGSTOP');
  const all = clients(60, cluster.port);
  await Promise.all(all.map(({ connected }) => connected));
  await eventually(() => waiting(cluster.pid, cluster.port) > 5);
  const began = performance.now();
  process.kill(stopped, 'SIGKILL');
  const served = await answers(all);
  assert.deepEqual([...new Set(served.map((text) => text.slice(0, 15)))], ['HTTP/1.1 200 OK'], cluster.output);
  assert.ok(!served.some((text) => text.endsWith(` ${stopped}`)));
  assert.ok(performance.now() - began < 5_000);
  // Its successor has the socket: nothing of it goes through the master any more.
  await eventually(async () => (await cluster.status()).state === 'running');
  await eventually(async () => {
    cluster.signal('SIGSTOP');
    const late = new Promise<string[]>((resolve) => setTimeout(resolve, 1_000, []));
    const text = await Promise.race([answers(clients(20, cluster.port)), late]);
    cluster.signal('SIGCONT');
    return new Set(text).size === 2;
  });
});

test('the only worker is killed with connections in its queue: the next one answers them', { skip }, async (t) => {
  const cluster = await start(t, 1);
  const [stopped = 0] = cluster.workerPids();
  process.kill(stopped, 'SIGSTOP');
  const all = clients(30, cluster.port);
  await Promise.all(all.map(({ connected }) => connected));
  process.kill(stopped, 'SIGKILL');
  const served = await answers(all);
  assert.deepEqual([...new Set(served.map((text) => text.slice(0, 15)))], ['HTTP/1.1 200 OK'], cluster.output);
  assert.equal((await cluster.stop()).code, 0);
});

test('a worker is replaced by a reload while it is stopped: its successor takes its queue over', { skip }, async (t) => {
  const cluster = await start(t, 2);
  const [stopped = 0] = cluster.workerPids();
  process.kill(stopped, 'SIGSTOP');
  const all = clients(40, cluster.port);
  await Promise.all(all.map(({ connected }) => connected));
  const reloaded = cluster.run('reload', [], 60_000);
  const served = await answers(all);
  assert.deepEqual([...new Set(served.map((text) => text.slice(0, 15)))], ['HTTP/1.1 200 OK'], cluster.output);
  // Where its successor was slow to come, its time is over by now.
  if (cluster.workerPids().includes(stopped)) process.kill(stopped, 'SIGKILL');
  assert.equal((await reloaded).code, 0);
});

test('at a stop what waits for a blocked worker is answered by another, but for one that it was handed', { skip }, async (t) => {
  const cluster = await start(t, 2);
  const [stopped = 0] = cluster.workerPids();
  process.kill(stopped, 'SIGSTOP');
  const all = clients(60, cluster.port);
  await Promise.all(all.map(({ connected }) => connected));
  await eventually(() => waiting(cluster.pid, cluster.port) > 5);
  cluster.signal('SIGTERM');
  await cluster.waitFor(/closing 2 workers/);
  process.kill(stopped, 'SIGCONT');
  const served = (await answers(all)).filter((text) => text.startsWith('HTTP/1.1 200 OK'));
  // As with round-robin: before it was known that it does not answer.
  assert.ok(served.length >= 59, `${served.length}\n${cluster.output}`);
  assert.equal((await cluster.ended()).code, 0);
});

test('who comes after a stop to what a blocked worker still has is refused at once', { skip }, async (t) => {
  const cluster = await start(t, 2);
  const [stopped = 0] = cluster.workerPids();
  process.kill(stopped, 'SIGSTOP');
  cluster.signal('SIGTERM');
  await cluster.waitFor(/closing 2 workers/);
  await cluster.waitFor(/\(slot 1\) exited with code 0/);
  assert.equal(queues(cluster.pid, cluster.port).length, 1, 'its socket');
  const late = await answers(clients(20, cluster.port));
  for (const text of late) assert.match(text, /ECONNRE(?:SET|FUSED)/);
  process.kill(stopped, 'SIGCONT');
  assert.equal((await cluster.ended()).code, 0, cluster.output);
});
