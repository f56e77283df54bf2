import assert from 'node:assert/strict';
import { descriptors, freePort, residentBytes, startCluster, type Scope, type TestCluster } from '../helpers/cluster.js';
import { Load, type Mix } from '../helpers/load.js';
import { once } from '../helpers/raw-client.js';

export interface ReloadsOptions {
  workers: number;
  reloads: number;
  mix: Mix;
  /** Go on reloading until so many requests are answered. */
  requests?: number;
  balance?: 'round-robin' | 'os' | 'reuse-port';
  /** Length of a slow answer, ms. */
  slow?: number;
  /** Between two requests of a client, ms. */
  pause?: number;
}

/** `drain-app` with all its ports. */
export async function startDrainApp(
  scope: Scope, options: { flags?: string[]; env?: Record<string, string>; workers: number },
): Promise<{ cluster: TestCluster; ports: { http: number; https: number; http2: number; tcp: number } }> {
  const [https, http2, tcp] = [await freePort(), await freePort(), await freePort()];
  const cluster = await startCluster(scope, 'drain-app', {
    flags: ['--workers', String(options.workers), ...(options.flags ?? [])],
    env: { HTTPS_PORT: String(https), HTTP2_PORT: String(http2), TCP_PORT: String(tcp), ...options.env },
  });
  return { cluster, ports: { http: cluster.port, https, http2, tcp } };
}

/** Reloads under load; nothing may be lost. Returns the figures as text. */
export async function reloadsUnderLoad(
  scope: Scope, { workers, reloads, mix, requests = 0, balance, slow = 3_000, pause = 0 }: ReloadsOptions,
): Promise<string> {
  const { cluster, ports } = await startDrainApp(scope, { workers, env: balance ? { CLUSTER_BALANCE: balance } : {} });
  const load = new Load(mix, {
    http: { port: ports.http }, https: { port: ports.https, secure: true }, http2: { port: ports.http2, secure: true }, slow, pause,
  }, scope);
  const started = performance.now();
  let done = 0;
  for (; done < reloads || load.answered < requests; done++) {
    const { code, stdout, stderr } = await cluster.run('reload', [], 150_000);
    assert.equal(code, 0, `reload ${done + 1}: ${stdout}${stderr}\n${cluster.output}`);
  }
  await load.stop();
  const report = `${done} reloads of ${workers} workers, `
    + `${load.answered} requests in ${Math.round((performance.now() - started) / 1000)} s, `
    + `balance ${balance ?? 'round-robin'}\n${load.report()}`;
  assert.equal(load.lost, 0, `${report}\n${cluster.output.slice(-4000)}`);
  for (const [kind, { ok }] of Object.entries(load.tallies)) assert.ok(ok > 0, `no ${kind} request was answered\n${report}`);
  const pids = new Set((await cluster.status()).workers.map(({ pid }) => pid));
  assert.equal(pids.size, workers);
  assert.equal((await cluster.stop(20_000)).code, 0);
  await cluster.assertNothingLeft();
  return report;
}

/** Many reloads of a small app without load: the master's memory and descriptors stay flat. */
export async function manyReloads(scope: Scope, { reloads, workers = 2 }: { reloads: number; workers?: number }): Promise<string> {
  const cluster = await startCluster(scope, 'drain-app', { flags: ['--workers', String(workers)] });
  const warm = Math.min(50, Math.ceil(reloads / 5));
  let before = { rss: 0, descriptors: 0 };
  const now = () => ({ rss: residentBytes(cluster.pid), descriptors: descriptors(cluster.pid) });
  for (let n = 0; n < reloads; n++) {
    if (n === warm) before = now();
    const from = cluster.output.length;
    cluster.signal('SIGHUP');
    await cluster.waitFor(/reloaded \d+ workers/, 20_000, from);
    assert.equal((await once({ port: cluster.port }, 'GET', '/echo')).status, 200);
  }
  const after = now();
  const report = `${reloads} reloads: RSS ${(before.rss / 2 ** 20).toFixed(1)} -> ${(after.rss / 2 ** 20).toFixed(1)} MiB, `
    + `descriptors ${before.descriptors} -> ${after.descriptors}`;
  assert.ok(after.descriptors <= before.descriptors + 1, report);
  assert.ok(after.rss <= before.rss + 12 * 2 ** 20, report);
  assert.equal((await cluster.stop()).code, 0);
  await cluster.assertNothingLeft();
  return report;
}

/** The longest answer of a fast handler while a reload goes on: the median of `runs`. A figure, not a test. */
export async function reloadLatency(scope: Scope, { workers, runs }: { workers: number; runs: number }): Promise<string> {
  const { cluster, ports } = await startDrainApp(scope, { workers });
  const longest: number[] = [];
  for (let n = 0; n < runs; n++) {
    const load = new Load({ keepAlive: 4, perConnection: 4 }, { http: { port: ports.http }, pause: 2 }, scope);
    const { code } = await cluster.run('reload', [], 60_000);
    await load.stop();
    assert.equal(code, 0);
    assert.equal(load.lost, 0, load.report());
    longest.push(Math.max(load.tallies.keepAlive.longest, load.tallies.perConnection.longest));
  }
  longest.sort((a, b) => a - b);
  assert.equal((await cluster.stop()).code, 0);
  return `longest answer during a reload of ${workers} workers: `
    + `median ${Math.round(longest[Math.floor(runs / 2)]!)} ms of ${longest.map(Math.round).join(', ')} ms`;
}
