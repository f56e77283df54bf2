import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fixture, type Scope } from '../helpers/cluster.js';
import { Load } from '../helpers/load.js';
import { heldPort, OneProcess } from '../helpers/one-process.js';
import { interleave, type Benchmark } from './benchmark.js';
import { median, type Figure } from './figures.js';

const PACKAGES = ['stoppable', 'http-terminator', 'close-with-grace', '@godaddy/terminus'];
const PEERS = ['nothing', 'server.close', 'stoppable', 'http-terminator', 'close-with-grace', 'terminus'];
/** Ends of a process in one sample. */
const ENDS = 3;
/** Who has not ended by then never will: an orchestrator kills it. Their own time is 10 s. */
const KILL = 12_000;

interface Sample {
  /** Of 10,000 requests. */
  lost: number;
  /** From the signal until the process has gone, ms; median. */
  took: number;
}

/** As in peers.ts: they are nothing of ours to install. */
function installed(): string {
  const dir = path.join(os.tmpdir(), 'hatchery-bench-drains');
  if (existsSync(path.join(dir, 'node_modules/stoppable'))) return dir;
  mkdirSync(dir, { recursive: true });
  execFileSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', dir, ...PACKAGES], { stdio: 'inherit' });
  return dir;
}

/** One process after the other serves a port under load; each is told to end once the next one listens. */
async function sample(by: string, dir: string): Promise<Sample> {
  const cleanUps: (() => unknown)[] = [];
  const scope: Scope = { after: (fn) => cleanUps.push(fn) };
  try {
    const held = heldPort(scope);
    const start = () => OneProcess.start(scope, '', { main: fixture('bench/drains.cjs'), fds: [held.fd], env: { BY: by, PEERS: dir } });
    let current = await start();
    const load = new Load({ keepAlive: 6, perConnection: 4, pipelined: 2, slow: 4, stream: 2 }, {
      http: { port: held.port }, slow: 700, pause: 2,
    }, scope);
    const took: number[] = [];
    for (let n = 0; n < ENDS; n++) {
      const enough = load.answered + load.lost + 500;
      while (load.answered + load.lost < enough) await new Promise((resolve) => setTimeout(resolve, 20));
      const next = await start();
      const signalled = performance.now();
      const timer = setTimeout(() => current.process.kill('SIGKILL'), KILL);
      took.push((await current.stop()).at - signalled);
      clearTimeout(timer);
      current = next;
    }
    await load.stop();
    return { lost: load.lost / (load.lost + load.answered) * 10_000, took: median(took) };
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

const drain: Benchmark = {
  about: 'one process after the other on one port, each ended by SIGTERM under load: requests lost, and how long the end takes',
  optional: true,
  async run({ runs = 3, say }) {
    const dir = installed();
    say(`drain: ${runs} rounds`);
    const samples = await interleave(runs, Object.fromEntries(['hatchery', ...PEERS].map((by) => [by, () => sample(by, dir)])));
    const figure = (what: string, unit: string, of: (one: Sample) => number, peer: string): Figure => ({
      what, unit, digits: 1, ours: samples.hatchery!.map(of), theirs: { name: peer, samples: samples[peer]!.map(of) },
    });
    const lost: Figure[] = PEERS.map((peer) => ({
      ...figure('drain, lost of 10,000', '', (one) => one.lost, peer), bar: { of: 'value', most: 0 },
    }));
    return [...lost, ...PEERS.map((peer) => figure('drain, from SIGTERM to the end', 'ms', (one) => one.took, peer))];
  },
};

export default drain;
