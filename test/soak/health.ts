import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { starved } from '../../plugins/health-check/process-facts.js';
import { LoadGenerator } from '../bench/load.js';
import { cpuTime } from '../bench/process-stat.js';
import { freePort, startCluster, type Scope, type TestCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { Load } from '../helpers/load.js';
import { withConfig } from '../helpers/with-config.js';

const count = (text: string, what: RegExp): number => [...text.matchAll(new RegExp(what, 'g'))].length;
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

/** Endless loops, one after the other: how long until each is found, and until its replacement is ready. */
export async function hangs(scope: Scope, { times }: { times: number }): Promise<string> {
  const config = withConfig(scope, { workers: 4, plugins: { 'health-check': { hangTimeout: 2_000 } } });
  const cluster = await startCluster(scope, 'health-app', { flags: ['--config', config] });
  const load = new Load({ perConnection: 2 }, { http: { port: cluster.port }, pause: 20 });
  const found: number[] = [];
  const replaced: number[] = [];
  for (let n = 0; n < times; n++) {
    const from = cluster.output.length;
    const pids = (await cluster.status()).workers.map(({ pid }) => pid);
    const began = performance.now();
    const before = await Promise.all(pids.map(starved));
    get(`${cluster.url}/spin`).catch(() => {});
    await delay(1_900);
    const waited = Math.max(...(await Promise.all(pids.map(starved))).map((ms, at) => ms - (before[at] ?? 0)));
    await cluster.waitFor(/at spinForever \(.*app\.js:8:\d+\)/, 6_000, from);
    found.push(performance.now() - began);
    await cluster.waitFor(/slot \d\) started/, 6_000, from);
    replaced.push(performance.now() - began);
    assert.ok(performance.now() - began < 4_000 + 1.5 * waited,
      `${performance.now() - began} ms, ${waited} of its first 1900 without a processor`);
  }
  await load.stop();
  assert.ok(load.lost <= times, load.report());
  await cluster.stop();
  return `${times} hangs: found after ${Math.round(median(found))} ms (longest ${Math.round(Math.max(...found))}), `
    + `replaced after ${Math.round(median(replaced))} ms (longest ${Math.round(Math.max(...replaced))})\n${load.report()}`;
}

/** Healthy workers that block for 1.5 s at a time, at a hangTimeout of 2 s: none may be killed. */
export async function busyWorkers(scope: Scope, { duration }: { duration: number }): Promise<string> {
  const config = withConfig(scope, { workers: 4, plugins: { 'health-check': { hangTimeout: 2_000 } } });
  const cluster = await startCluster(scope, 'health-app', { flags: ['--config', config] });
  const until = performance.now() + duration;
  let answers = 0;
  await Promise.all(Array.from({ length: 6 }, async (_, n) => {
    while (performance.now() < until) {
      assert.equal((await get(`${cluster.url}/${n % 2 ? 'parse' : 'block'}?ms=1500`, { deadline: 30_000 })).status, 200);
      answers++;
    }
  }));
  assert.doesNotMatch(cluster.output, /unresponsive/);
  assert.equal(count(cluster.output, /\) started \(/), 4);
  await cluster.stop();
  return `${answers} blocks of 1.5 s within ${Math.round(duration / 1000)} s, nobody killed`;
}

/** A leak of 1 MiB a request under load. */
export async function leak(scope: Scope, { duration }: { duration: number }): Promise<string> {
  const config = withConfig(scope, { workers: 4, plugins: { 'health-check': { maxRss: '160MB' } } });
  const cluster = await startCluster(scope, 'health-app', { flags: ['--config', config], env: { LEAK: String(2 ** 20) } });
  const load = new Load({ perConnection: 3, keepAlive: 3 }, { http: { port: cluster.port }, pause: 10 });
  const ends = performance.now() + duration;
  let most = 0;
  let peak = 0;
  while (performance.now() < ends) {
    const { workers } = await cluster.status();
    most = Math.max(most, workers.length);
    peak = Math.max(peak, ...workers.map(({ rss }) => rss ?? 0));
    await delay(100);
  }
  await load.stop();
  assert.equal(load.lost, 0, `${load.report()}\n${cluster.output.slice(-3_000)}`);
  assert.ok(most <= 5, `${most} workers at once`);
  const recycled = count(cluster.output, /was recycled \(rss/);
  assert.ok(recycled >= 3, String(recycled));
  await cluster.stop();
  return `recycled ${recycled} times in ${Math.round(duration / 1000)} s, at most ${most} processes, `
    + `largest ${(peak / 2 ** 20).toFixed(0)} MB at a limit of 160\n${load.report()}`;
}

/** Crash loops; forks stay bounded and the cause's end is the loop's end. */
export async function crashLoops(scope: Scope, { duration }: { duration: number }): Promise<string> {
  const lines: string[] = [];
  for (const [who, after] of [['0', 100], ['0', 1_100], ['0', 5_000], ['all', 100]] as const) {
    const config = withConfig(scope, { workers: 4, refork: { maxDelay: 5_000 } });
    const file = path.join(path.dirname(config), 'crash');
    writeFileSync(file, 'none 0');
    const cluster = await startCluster(scope, 'health-app', { flags: ['--config', config], env: { CRASH_FILE: file } });
    writeFileSync(file, `${who} ${after}`);
    const from = cluster.output.length;
    for (const { pid } of (await cluster.status()).workers.slice(0, who === 'all' ? 4 : 1)) process.kill(pid, 'SIGKILL');
    await delay(duration);
    const forks = count(cluster.output.slice(from), /slot \d\) started/);
    const { state } = await cluster.status();
    writeFileSync(file, 'none 0');
    const began = performance.now();
    await recovered(cluster);
    lines.push(`slot ${who}, crash after ${after} ms: ${forks} forks in ${Math.round(duration / 1000)} s, then ${state}; `
      + `recovered ${Math.round(performance.now() - began)} ms after the cause was gone`);
    await cluster.stop();
  }
  return lines.join('\n');
}

async function recovered(cluster: TestCluster): Promise<void> {
  const deadline = performance.now() + 12_000;
  let since = performance.now();
  while (performance.now() - since < 1_000) {
    if ((await cluster.status()).state !== 'running') since = performance.now();
    assert.ok(performance.now() < deadline, cluster.output.slice(-2_000));
    await delay(50);
  }
}

/** What heartbeat, counters and a scrape a second cost: answers a second with the plugin on and off, in turns. */
export async function overhead(scope: Scope, { rounds }: { rounds: number }): Promise<string> {
  const port = await freePort();
  const generator = new LoadGenerator();
  scope.after(() => generator.close());
  const start = async (healthCheck: unknown) => {
    const config = withConfig(scope, { workers: 1, plugins: { 'health-check': healthCheck } });
    const cluster = await startCluster(scope, 'hello', { flags: ['--config', config] });
    return { cluster, pid: (await cluster.status()).workers[0]?.pid ?? 0, perSecond: [] as number[], cost: [] as number[] };
  };
  const [off, on] = [await start(false), await start({ port })];
  const scraping = setInterval(() => { get(`http://127.0.0.1:${port}/metrics`).catch(() => {}); }, 1_000);
  scope.after(() => clearInterval(scraping));
  for (let n = 0; n <= rounds; n++) {
    for (const one of n % 2 ? [off, on] : [on, off]) {
      const before = cpuTime([one.pid]) ?? NaN;
      const { requests, seconds, errors } = await generator.run({
        mode: 'keep-alive', port: one.cluster.port, clients: 16, duration: 1_000,
      });
      assert.equal(errors, 0);
      // The first of each is for the compiler.
      if (n === 0) continue;
      one.perSecond.push(requests / seconds);
      one.cost.push(((cpuTime([one.pid]) ?? NaN) - before) * 1_000 / requests);
    }
  }
  const idle = await Promise.all([off, on].map(async ({ pid }) => {
    const before = busy(pid);
    await delay(10_000);
    return (busy(pid) - before) / 10_000 * 100;
  }));
  await Promise.all([off, on].map(({ cluster }) => cluster.stop()));
  const ratio = median(on.perSecond.map((value, at) => value / (off.perSecond[at] ?? NaN)));
  const report = `throughput ${Math.round(median(on.perSecond))}/s on, ${Math.round(median(off.perSecond))}/s off: `
    + `${ratio.toFixed(3)}; processor time a request ${median(on.cost).toFixed(2)} us on, ${median(off.cost).toFixed(2)} us off; `
    + `an idle worker ${idle[1]?.toFixed(3)} % of a core on, ${idle[0]?.toFixed(3)} % off`;
  assert.ok(ratio >= 0.98, report);
  assert.ok((idle[1] ?? 0) - (idle[0] ?? 0) < 1, report);
  return report;
}

/** Processor time of a process's main thread, ms, finer than the ticks of /proc/pid/stat. */
const busy = (pid: number): number => Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
