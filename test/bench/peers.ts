import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { bin, fixture, node, root } from '../helpers/cluster.js';
import { Load } from '../helpers/load.js';
import { interleave, type Benchmark } from './benchmark.js';
import { eggCluster, launch, type Contender, type Running } from './contender.js';
import type { Figure } from './figures.js';
import { LoadGenerator } from './load.js';
import type { LoadMode } from './load-process.js';
import { cpuTime, group, pss } from './process-stat.js';

/** Nothing of ours to install: their sizes, and PM2's licence. Both packages of Watt need one version. */
const PACKAGES = { throng: '5', pm2: '7', wattpm: '3.65.0', '@platformatic/node': '3.65.0' };
const WORKERS = 2;
/** ms: from the start to the look at memory; of one sample of load; until nobody is expected to come back any more. */
const SETTLED = 1_500;
const SAMPLE = 1_000;
const GIVEN_UP = 10_000;
const CLIENTS: Record<LoadMode, number> = { 'keep-alive': 64, 'per-connection': 32 };
/** How long an answer of /slow takes in fixtures/bench/peers, ms, and how many are under way at a stop. */
const SLOW = 500;
const IN_FLIGHT = 50;

interface Peer {
  contender: Contender;
  /** Arguments of the command that puts new code in the place of the old; without one it is stopped and started again. */
  reload?: (running: Running) => string[];
}

interface Sample {
  start: number; memory: number;
  rate: Record<LoadMode, number>; cost: Record<LoadMode, number>;
  crash: { lost: number; back: number };
  deploy: { lost: number; took: number };
  stop: { unanswered: number; took: number };
}

const own = (name: string): string => fixture(path.join('bench/peers', name));

/** The folder that the peers are installed in, once for the machine. */
function installed(): string {
  const dir = path.join(os.tmpdir(), 'hatchery-bench-peers');
  if (!existsSync(path.join(dir, 'node_modules/wattpm'))) {
    mkdirSync(dir, { recursive: true });
    const wanted = Object.entries(PACKAGES).map(([name, version]) => `${name}@${version}`);
    execFileSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', dir, ...wanted], { stdio: ['ignore', 2, 2] });
  }
  const watt = path.join(dir, 'watt');
  mkdirSync(watt, { recursive: true });
  copyFileSync(own('watt.json'), path.join(watt, 'watt.json'));
  copyFileSync(own('package.json'), path.join(watt, 'package.json'));
  writeFileSync(path.join(watt, 'server.js'), `require(${JSON.stringify(own('server.js'))});\n`);
  return dir;
}

function peersIn(dir: string): Record<string, Peer> {
  const at = (name: string): string => path.join(dir, 'node_modules', name);
  const env = { PM2_HOME: path.join(dir, 'home') };
  return {
    hatchery: {
      contender: { name: 'Hatchery', args: [bin, 'start', own('')] }, reload: () => [bin, 'reload', own('')],
    },
    single: { contender: { name: 'one node process', args: [own('server.js')] } },
    bare: { contender: { name: 'node:cluster', args: [own('bare.cjs')] } },
    throng: { contender: { name: 'throng', args: [own('throng.cjs')], env: { BENCH_PEERS: dir } } },
    eggCluster: { contender: { ...eggCluster, env: { ...eggCluster.env, BENCH_ANSWER: own('answer.cjs') } } },
    pm2: {
      contender: { name: 'PM2', args: [at('pm2/bin/pm2-runtime'), 'start', own('pm2.config.cjs')], env },
      reload: () => [at('pm2/bin/pm2'), 'reload', 'bench'],
    },
    watt: {
      contender: { name: 'Watt', args: [at('wattpm/bin/cli.js'), 'start'], cwd: path.join(dir, 'watt') },
      reload: ({ master }) => [at('wattpm/bin/cli.js'), 'restart', String(master)],
    },
  };
}

/** `name version` of each that is measured, for the page. */
export function versions(): string[] {
  const version = (dir: string, name: string): string =>
    `${name} ${(JSON.parse(readFileSync(path.join(dir, 'node_modules', name, 'package.json'), 'utf8')) as { version: string }).version}`;
  return [version(root, 'egg-cluster'), ...['throng', 'pm2', 'wattpm'].map((name) => version(installed(), name))];
}

interface Heard { life: string; body: string }

const ask = (port: number, url: string): Promise<Heard | null> => new Promise((resolve) => {
  http.get({ port, host: '127.0.0.1', path: url, agent: false }, (response) => {
    let body = '';
    response.setEncoding('utf8').on('data', (part: string) => { body += part; })
      .on('end', () => resolve({ body, life: String(response.headers['x-life']) })).on('error', () => resolve(null));
  }).on('error', () => resolve(null));
});

async function speed({ port, master }: Running, mode: LoadMode, generator: LoadGenerator): Promise<{ rate: number; cost: number }> {
  const order = { mode, port, clients: CLIENTS[mode], duration: SAMPLE };
  // The first is for the compiler.
  await generator.run(order);
  const pids = group(master);
  const before = cpuTime(pids) ?? NaN;
  const { requests, seconds } = await generator.run(order);
  return { rate: requests / seconds, cost: ((cpuTime(pids) ?? NaN) - before) * 1_000 / requests };
}

/** A worker ends itself under load: requests of others that are lost, and ms until one answers that was not there before. */
async function crash({ port }: Running): Promise<Sample['crash']> {
  const lives = new Set<string>();
  for (let n = 0; n < 10 * WORKERS; n++) lives.add((await ask(port, '/echo'))?.life ?? '');
  const load = new Load({ keepAlive: 4, perConnection: 4 }, { http: { port, host: '127.0.0.1' }, pause: 5 });
  await delay(300);
  await ask(port, '/end');
  const ended = performance.now();
  let back = NaN;
  while (Number.isNaN(back) && performance.now() - ended < GIVEN_UP) {
    const heard = await ask(port, '/echo');
    if (heard && !lives.has(heard.life)) back = performance.now() - ended;
    else await delay(5);
  }
  await load.stop();
  return { lost: load.lost, back };
}

async function deploy(peer: Peer, running: Running): Promise<[Sample['deploy'], Running]> {
  const http = { port: running.port, host: '127.0.0.1' };
  const load = new Load({ keepAlive: 4, perConnection: 4, slow: 4 }, { http, pause: 5, slow: SLOW });
  await delay(SLOW);
  const began = performance.now();
  let next = running;
  if (peer.reload) {
    const { env } = running;
    const args = peer.reload(running);
    const ended = spawn(node, args, { env, cwd: peer.contender.cwd, stdio: 'ignore' });
    const code = await new Promise<number | null>((resolve, reject) => ended.once('error', reject).once('exit', resolve));
    if (code !== 0) throw new Error(`${peer.contender.name}: ${args.join(' ')} ended with ${code}`);
  } else {
    await running.stop();
    next = await launch(peer.contender, { workers: running.workers.length, port: running.port });
  }
  const took = performance.now() - began;
  await delay(SLOW);
  await load.stop();
  return [{ lost: load.lost, took }, next];
}

/** SIGTERM while so many are being answered. */
async function stop(running: Running): Promise<Sample['stop']> {
  const asked = Array.from({ length: IN_FLIGHT }, (_, n) => ask(running.port, `/slow?${n}`).then((heard) => heard?.body === `/slow?${n}`));
  await delay(SLOW / 2);
  const took = await running.stop();
  return { unanswered: (await Promise.all(asked)).filter((answered) => !answered).length, took };
}

async function sample(peer: Peer, generator: LoadGenerator): Promise<Sample> {
  const alone = peer.contender.name.startsWith('one');
  let running = await launch(peer.contender, { workers: alone ? 1 : WORKERS });
  try {
    const start = running.took;
    await delay(SETTLED);
    const memory = pss(group(running.master)) ?? NaN;
    const kept = await speed(running, 'keep-alive', generator);
    const each = await speed(running, 'per-connection', generator);
    // A process alone is away after it, and nobody starts it again.
    const crashed = alone ? { lost: NaN, back: NaN } : await crash(running);
    const [deployed, next] = await deploy(peer, running);
    running = next;
    return {
      start, memory, crash: crashed,
      rate: { 'keep-alive': kept.rate, 'per-connection': each.rate }, cost: { 'keep-alive': kept.cost, 'per-connection': each.cost },
      deploy: deployed, stop: await stop(running),
    };
  } finally {
    await running.kill();
  }
}

const ROWS: readonly [what: string, unit: string, of: (one: Sample) => number][] = [
  ['from the spawn until both workers listen', 'ms', ({ start }) => start],
  ['memory of all its processes, idle (PSS)', 'MiB', ({ memory }) => memory],
  ['answers a second, keep-alive', '/s', ({ rate }) => rate['keep-alive']],
  ['processor time of an answer, keep-alive', 'us', ({ cost }) => cost['keep-alive']],
  ['answers a second, a connection each', '/s', ({ rate }) => rate['per-connection']],
  ['processor time of an answer, a connection each', 'us', ({ cost }) => cost['per-connection']],
  ['requests of others lost when a worker ends itself', '', (one) => one.crash.lost],
  ['... until another one answers in its place', 'ms', (one) => one.crash.back],
  ['requests lost while new code takes over', '', (one) => one.deploy.lost],
  ['... how long that takes', 'ms', (one) => one.deploy.took],
  [`of ${IN_FLIGHT} requests under way at SIGTERM, not answered`, '', (one) => one.stop.unanswered],
  ['... until it has ended', 'ms', (one) => one.stop.took],
];

const peers: Benchmark = {
  about: `one app of node:http, ${WORKERS} workers, each peer as its own documentation starts it: speed, memory, and what is lost`,
  optional: true,
  async run({ runs = 3, say }) {
    if (process.platform !== 'linux') return [];
    const all = peersIn(installed());
    const generator = new LoadGenerator();
    say(`peers: ${runs} rounds of ${Object.keys(all).length}`);
    try {
      const samples = await interleave(runs, Object.fromEntries(Object.entries(all).map(([name, peer]) => [name, async (warm) => {
        if (!warm) return sample(peer, generator);
        // What is kept from one start to the next is written at a good end.
        await (await launch(peer.contender, { workers: name === 'single' ? 1 : WORKERS })).stop();
        return undefined as unknown as Sample;
      }] as const)));
      const { hatchery = [], ...others } = samples;
      return ROWS.flatMap(([what, unit, of]) => Object.entries(others).map(([name, theirs]): Figure => ({
        what, unit, ours: hatchery.map(of), theirs: { name: all[name]!.contender.name, samples: theirs.map(of) },
        digits: unit === 'MiB' || unit === 'us' ? 1 : 0,
      })));
    } finally {
      generator.close();
    }
  },
};

export default peers;
