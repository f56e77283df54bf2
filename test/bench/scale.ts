import http from 'node:http';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { descriptors, startCluster, type TestCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';
import type { Benchmark } from './benchmark.js';
import type { Figure } from './figures.js';
import { cpuTime, rss } from './process-stat.js';

/** Workers; beyond what the machine's memory carries a row is left out. */
const SIZES = [2, 16, 64, 128, 256, 512];
/** MiB that a worker of this app takes beside what all share, with something to spare. */
const EACH = 30;
/** What is asked so many times for one figure. */
const TIMES = 20;
const IDLE = 5_000;
const SETTLED = 2_000;
const MINUTES = 300_000;

/** Processor time of a process so far, ms. */
const busy = (pid: number): number => cpuTime([pid]) ?? NaN;

type Costs = Record<keyof typeof COSTS, number>;

const COSTS = {
  start: 'master, processor time a worker at a start|ms',
  started: 'from the start until all are ready, a worker|ms',
  memory: 'master, resident memory|MiB',
  idle: 'master, processor time a second when nothing happens|ms',
  files: 'master, open descriptors a worker|',
  status: 'master, processor time of a status|ms',
  statusSize: 'a status|KiB',
  metrics: 'master, processor time of a /metrics|ms',
  metricsSize: 'a /metrics|KiB',
  broadcast: 'sender, processor time a receiver of a broadcast|ms',
  heard: 'until all have answered a broadcast|ms',
  reload: 'master, processor time a worker at a reload, 16 at a time|ms',
};

function ask(socketPath: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    http.get({ socketPath, path, agent: false }, (response) => {
      let size = 0;
      response.on('data', (part: Buffer) => { size += part.length; }).on('end', () => resolve(size));
    }).on('error', reject);
  });
}

/** What the master's processor does for `times` answers, one after the other; each. */
async function answers({ pid }: TestCluster, socket: string, path: string): Promise<{ cpu: number; size: number }> {
  let size = await ask(socket, path);
  const before = busy(pid);
  for (let time = 0; time < TIMES; time++) size = await ask(socket, path);
  return { cpu: (busy(pid) - before) / TIMES, size: size / 1_024 };
}

async function measure(workers: number): Promise<Costs> {
  const ends: (() => unknown)[] = [];
  const scope = { after: (fn: () => unknown) => { ends.unshift(fn); } };
  const config = { agent: false, plugins: { metrics: true, 'graceful-exit': { timeout: 60_000 } }, reload: { batch: 16 } };
  const flags = ['--config', withConfig(scope, config), '-w', String(workers)];
  const began = performance.now();
  const cluster = await startCluster(scope, 'bench/many', { flags, deadline: MINUTES });
  try {
    const started = performance.now() - began;
    const start = busy(cluster.pid);
    await delay(SETTLED);
    const before = busy(cluster.pid);
    await delay(IDLE);
    const idle = (busy(cluster.pid) - before) / IDLE * 1_000;
    const socket = cluster.files().find((file) => file.endsWith('.sock')) ?? '';
    const memory = rss(cluster.pid) ?? NaN;
    const files = descriptors(cluster.pid) / workers;
    const status = await answers(cluster, socket, '/status');
    const metrics = await answers(cluster, socket, '/metrics');
    const { json } = await get(`${cluster.url}/?count=${TIMES}&workers=${workers}`, { deadline: MINUTES });
    const told = json as Record<'cpu' | 'took', number>;
    const earlier = busy(cluster.pid);
    const { code, stderr } = await cluster.run('reload', [], MINUTES);
    if (code !== 0) throw new Error(stderr);
    const reload = busy(cluster.pid) - earlier;
    return {
      start: start / workers, started: started / workers, memory, idle, files,
      status: status.cpu, statusSize: status.size, metrics: metrics.cpu, metricsSize: metrics.size,
      broadcast: told.cpu / TIMES / workers, heard: told.took / TIMES, reload: reload / workers,
    };
  } finally {
    await cluster.stop(MINUTES);
    for (const end of ends) await end();
  }
}

const scale: Benchmark = {
  about: 'what a worker more costs the master, from 2 workers to as many as the memory of the machine carries',
  optional: true,
  async run({ say }) {
    if (process.platform !== 'linux') return [];
    const sizes = SIZES.filter((size) => size * EACH < os.freemem() / 1_048_576);
    const costs: [number, Costs][] = [];
    for (const size of sizes) {
      say(`scale: ${size} workers`);
      costs.push([size, await measure(size)]);
    }
    return Object.entries(COSTS).flatMap(([name, text]): Figure[] => costs.map(([size, cost]) => {
      const [what = '', unit = ''] = text.split('|');
      return { what: `${size} workers: ${what}`, unit, digits: 2, ours: [cost[name as keyof Costs]] };
    }));
  },
};

export default scale;
