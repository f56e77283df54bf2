import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { descriptors, type Scope, type TestCluster } from '../helpers/cluster.js';
import { Load } from '../helpers/load.js';
import { once, RawConnection, requestHead } from '../helpers/raw-client.js';
import { startDrainApp } from './reloads.js';

const pidsOf = async (cluster: TestCluster) => (await cluster.status()).workers.map(({ pid }) => pid);

/** Requests in flight and idle connections at a SIGTERM of the master. */
export async function stopInFlight(
  scope: Scope, { workers, inFlight, length, idle }: { workers: number; inFlight: number; length: number; idle: number },
): Promise<string> {
  const { cluster, ports } = await startDrainApp(scope, { workers });
  const target = { port: ports.http };
  const idlers = await Promise.all(Array.from({ length: idle }, async () => {
    const connection = new RawConnection(target);
    await connection.send(requestHead('GET', '/echo'), ['GET'], 5_000)[0];
    return connection;
  }));
  const answers = Array.from({ length: inFlight }, async (_, n) => {
    const path = `/slow?ms=${length}&n=${n}`;
    const { body, close } = await once(target, 'GET', path, { headers: { Connection: 'keep-alive' }, deadline: length + 5_000 });
    assert.equal(body.toString(), path);
    assert.equal(close, true);
    return performance.now();
  });
  await delay(Math.min(500, length / 2));
  cluster.signal('SIGTERM');
  const lastAnswer = Math.max(...await Promise.all(answers));
  const { code, at } = await cluster.ended(15_000);
  const report = `stop: ${inFlight} requests of ${length} ms answered, exit ${Math.round(at - lastAnswer)} ms after the last one, `
    + `${idle} idle connections`;
  assert.equal(code, 0, cluster.output);
  assert.ok(at - lastAnswer < 1_500, `${report}\n${cluster.output}`);
  for (const connection of idlers) connection.destroy();
  await cluster.assertNothingLeft();
  return report;
}

/** Workers are taken away under load. */
export async function scaleDown(scope: Scope, { from, to }: { from: number; to: number }): Promise<string> {
  const { cluster, ports } = await startDrainApp(scope, { workers: from });
  const load =
    new Load({ keepAlive: 4, perConnection: 4, pipelined: 2, slow: 4 }, { http: { port: ports.http }, slow: 700, pause: 2 }, scope);
  await cluster.waitFor(() => load.answered > 500);
  const { code, stdout, stderr } = await cluster.run('scale', [String(to)], 40_000);
  assert.equal(code, 0, stdout + stderr);
  const enough = load.answered + 500;
  await cluster.waitFor(() => load.answered > enough);
  await cluster.waitFor(() => cluster.workerPids().length === to, 10_000);
  await load.stop();
  const report = `scale ${from} -> ${to}: ${load.answered} requests\n${load.report()}`;
  assert.equal(load.lost, 0, report);
  assert.equal((await pidsOf(cluster)).length, to);
  assert.equal((await cluster.stop()).code, 0);
  return report;
}

/** SIGTERM to one worker after another: each drains, exits 0, and is replaced. */
export async function termWorkers(scope: Scope, { workers, times }: { workers: number; times: number }): Promise<string> {
  const { cluster, ports } = await startDrainApp(scope, { workers });
  const load = new Load({ keepAlive: 4, perConnection: 4, pipelined: 2, slow: 2, upload: 1, https: 2 }, {
    http: { port: ports.http }, https: { port: ports.https, secure: true }, slow: 500, pause: 2,
  }, scope);
  for (let n = 0; n < times; n++) {
    const victim = (await pidsOf(cluster))[n % workers]!;
    process.kill(victim, 'SIGTERM');
    await cluster.waitFor(() => new RegExp(`:${victim} .*exited with code 0`).test(cluster.output), 15_000);
    await cluster.waitFor(() => cluster.workerPids().length === workers, 10_000);
  }
  await load.stop();
  const report = `SIGTERM to a worker, ${times} times: ${load.answered} requests\n${load.report()}`;
  assert.equal(load.lost, 0, `${report}\n${cluster.output}`);
  assert.equal((await cluster.stop()).code, 0);
  return report;
}

/**
 * kill -9 of a worker under connection-per-request load: what it was answering is lost (the clients see it at once), nobody
 * hangs, and the master keeps no descriptor.
 */
export async function killWorkers(
  scope: Scope, { workers, times, clients = 8 }: { workers: number; times: number; clients?: number },
): Promise<string> {
  const { cluster, ports } = await startDrainApp(scope, { workers });
  // In turn to each worker, whose pipe for connections comes with the first of them.
  for (let n = 0; n < workers; n++) await once({ port: ports.http }, 'GET', '/echo');
  const before = descriptors(cluster.pid);
  const load = new Load({ perConnection: clients }, { http: { port: ports.http }, deadline: 8_000 }, scope);
  await cluster.waitFor(() => load.answered > 200);
  for (let n = 0; n < times; n++) {
    const pids = await pidsOf(cluster);
    process.kill(pids[n % pids.length]!, 'SIGKILL');
    const from = cluster.output.length;
    await cluster.waitFor(/app_worker#\d+:\d+ .*started/, 15_000, from);
  }
  await load.stop();
  const { lost, longest, ok } = load.tallies.perConnection;
  const report = `kill -9 of a worker, ${times} times: ${ok} answered, longest ${Math.round(longest)} ms, lost ${JSON.stringify(lost)}`;
  assert.equal(lost.hang + lost.refused + lost.wrong, 0, `${report}\n${load.report()}`);
  // A worker answers at most so many requests at a time as there are clients.
  assert.ok(load.lost <= times * clients, report);
  await cluster.waitFor(() => descriptors(cluster.pid) <= before, 5_000)
    .catch(() => assert.fail(`${report}; descriptors ${before} -> ${descriptors(cluster.pid)}`));
  assert.equal((await cluster.stop()).code, 0);
  return `${report}, descriptors flat at ${before}`;
}

/**
 * Reloads, kill -9 and scaling with `balance: "reuse-port"`, a connection for each request: nothing is lost but what killed workers
 * were answering, which no client waits for.
 */
export async function slotSockets(
  scope: Scope, { workers, reloads, kills, clients = 8 }: { workers: number; reloads: number; kills: number; clients?: number },
): Promise<string> {
  const { cluster, ports } = await startDrainApp(scope, { workers, env: { CLUSTER_BALANCE: 'reuse-port' } });
  const load = new Load({ perConnection: clients }, { http: { port: ports.http } }, scope);
  const figures: string[] = [];
  const lostUntil = async (what: string, most: number, step: () => Promise<void>) => {
    const [answered, lost] = [load.answered, load.lost];
    await step();
    await delay(500);
    figures.push(`${what}: ${load.lost - lost} of ${load.answered - answered} lost`);
    assert.ok(load.lost - lost <= most, `${figures.join('\n')}\n${load.report()}\n${cluster.output.slice(-4_000)}`);
  };
  const run = async (command: string, ...args: string[]) => {
    const { code, stdout, stderr } = await cluster.run(command, args, 150_000);
    assert.equal(code, 0, `${command}: ${stdout}${stderr}\n${cluster.output.slice(-4_000)}`);
  };
  await lostUntil(`${reloads} reloads of ${workers} workers`, 0, async () => { for (let n = 0; n < reloads; n++) await run('reload'); });
  await lostUntil(`${workers} -> 8 -> 2 -> 8 -> ${workers} workers`, 0, async () => {
    for (const count of [8, 2, 8, workers]) {
      await run('scale', String(count));
      await delay(1_000);
    }
  });
  await lostUntil(`${kills} x kill -9`, kills * clients, async () => {
    for (let n = 0; n < kills; n++) {
      const from = cluster.output.length;
      process.kill((await pidsOf(cluster))[n % workers]!, 'SIGKILL');
      await cluster.waitFor(/app_worker#\d+:\d+ .*started/, 15_000, from);
    }
  });
  await load.stop();
  const { lost, longest } = load.tallies.perConnection;
  figures.push(`longest answer ${Math.round(longest)} ms`);
  assert.equal(lost.hang + lost.refused + lost.wrong, 0, `${figures.join('\n')}\n${load.report()}`);
  assert.equal((await cluster.stop()).code, 0);
  return figures.join('\n');
}
