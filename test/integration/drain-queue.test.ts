import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { fixture, freePort, startCluster } from '../helpers/cluster.js';
import { OneProcess } from '../helpers/one-process.js';
import { clients } from '../helpers/reuse-port.js';

/** Clients who wait in the kernel of a stopped process; it is told to end, and goes on. */
async function answersOf(port: number, stopped: number, end: () => unknown): Promise<string[]> {
  process.kill(stopped, 'SIGSTOP');
  const all = clients(60, port);
  await Promise.all(all.map(({ connected }) => connected));
  await end();
  process.kill(stopped, 'SIGCONT');
  return [...new Set((await Promise.all(all.map(({ answer }) => answer))).map((text) => text.slice(0, 15)))];
}

const ALL_SERVED = ['HTTP/1.1 200 OK'];

async function stops(t: TestContext, workers: number, env: Record<string, string>): Promise<void> {
  const cluster = await startCluster(t, 'drain-app', { flags: ['-w', String(workers)], env });
  const [pid = cluster.pid] = cluster.workerPids();
  const closing = async () => {
    cluster.signal('SIGTERM');
    if (workers > 0) await cluster.waitFor(/closing 1 worker/);
  };
  assert.deepEqual(await answersOf(cluster.port, pid, closing), ALL_SERVED, cluster.output);
  assert.equal((await cluster.ended()).code, 0, cluster.output);
}

test('who waits in the kernel at a stop is served where workers accept by themselves', (t) => stops(t, 1, { CLUSTER_BALANCE: 'os' }));

test('who waits in the kernel at a stop is served by the one process of --workers 0', (t) => stops(t, 0, {}));

test('who waits in the kernel at a stop is served by a process without a master', async (t) => {
  const port = await freePort();
  const env = { MODE: 'signal', PORT: String(port) };
  const one = await OneProcess.start(t, 'by-hand', { main: fixture('one-process/by-hand.mjs'), env });
  assert.deepEqual(await answersOf(port, one.process.pid as number, () => one.process.kill('SIGTERM')), ALL_SERVED, one.output);
  assert.equal((await one.ended).code, 0, one.output);
});
