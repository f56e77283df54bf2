import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import type { Benchmark } from './benchmark.js';
import type { Figure } from './figures.js';
import { OpenGenerator, type OpenResult } from './open-load.js';

const APP = 'bench/costly';
/** Requests a second that a worker can answer, as each takes 5 ms. */
const CAPACITY = 200;
const TIMES = [1, 2, 3];
/** Milliseconds of each. */
const LOAD = { warm: 1_000, duration: 3_000, patience: 1_000 };
/** As a proxy keeps them: as many as clients that wait. */
const KEPT = 700;

interface Level {
  /** Answers with 200 a second that came before their clients gave up; of the time in which the system let the worker run. */
  goodput: number;
  /** Of them, ms. */
  p99: number;
  /** Share of the time that the worker was to run and something else did. */
  held: number;
}

/** Over this share others have the machine, and it is tried again: so often, and the calmest one counts. */
const HELD = 0.15;
const TRIES = 4;

/** Milliseconds that a process was to run and another one did, on the same core; 0 where it cannot be known. */
function heldUp(pid: number): number {
  if (process.platform !== 'linux') return 0;
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[1]) / 1e6;
}

function levelOf({ took, seconds }: OpenResult, held: number): Level {
  const sorted = took.toSorted((a, b) => a - b);
  return { goodput: took.length / seconds / (1 - Math.min(0.9, held)), p99: sorted[Math.floor(sorted.length * 0.99)] ?? NaN, held };
}

/** A core for the worker alone, another one for who asks and the master. */
function pin(pids: readonly number[], core: number): void {
  if (os.availableParallelism() < 2) return;
  try {
    for (const pid of pids) execFileSync('taskset', ['-a', '-c', '-p', String(core), String(pid)], { stdio: 'ignore' });
  } catch {
    // Without it they share the cores as the system has it.
  }
}

/** Each load in its turn; between two of them all is quiet again. */
async function arm(profile: string, keeps: number, generator: OpenGenerator, say: (text: string) => void): Promise<Level[]> {
  const ends: (() => unknown)[] = [];
  const cluster = await startCluster({ after: (fn) => ends.push(fn) }, APP, { flags: ['--workers', '1', '--env', profile] });
  try {
    const { workers, master } = await cluster.status();
    const worker = workers[0]!.pid;
    pin([worker], 0);
    pin([master.pid, generator.pid], 1);
    const levels: Level[] = [];
    const once = async (times: number): Promise<Level> => {
      const before = heldUp(worker);
      const begun = performance.now();
      const result = await generator.run({ port: cluster.port, rate: CAPACITY * times, keeps, ...LOAD });
      const held = (heldUp(worker) - before) / (performance.now() - begun);
      const level = levelOf(result, held);
      const { shed, late, failed, asked } = result;
      say(`${profile}, ${times} times: ${asked} asked, ${level.goodput.toFixed(0)}/s answered, p99 ${level.p99.toFixed(0)} ms, `
        + `${shed} shed, ${late} given up, ${failed} failed, ${Math.round(held * 100)} % held up`);
      for (let quiet = false; !quiet;) {
        const begun = performance.now();
        quiet = await get(cluster.url, { deadline: 30_000 }).then(({ status }) => status === 200, () => false)
          && performance.now() - begun < 50;
        await delay(100);
      }
      return level;
    };
    for (const times of TIMES) {
      let level = await once(times);
      for (let tries = 1; level.held > HELD && tries < TRIES; tries++) {
        const another = await once(times);
        if (another.held < level.held) level = another;
      }
      levels.push(level);
    }
    return levels;
  } finally {
    await cluster.stop(30_000);
    for (const end of ends) await end();
  }
}

/** At the highest load, as a share of the load at which most was answered. */
function shareOf(levels: readonly Level[]): { goodput: number; p99: number } {
  const peak = levels.reduce((best, level) => level.goodput > best.goodput ? level : best);
  const last = levels.at(-1) as Level;
  return { goodput: last.goodput / peak.goodput, p99: last.p99 / peak.p99 };
}

const overload: Benchmark = {
  about: `${TIMES.at(-1)} times what one worker can answer: what is answered in time, and how late, beside its peak; with the plugin `
    + 'overload and without',
  async run({ runs = 3, say }) {
    const figures: Figure[] = [];
    const generator = new OpenGenerator();
    try {
      for (const [what, keeps] of [['a connection each', 0], ['kept connections', KEPT]] as const) {
        const shares = { shedding: [] as ReturnType<typeof shareOf>[], standard: [] as ReturnType<typeof shareOf>[] };
        for (let run = 0; run < runs; run++) {
          for (const profile of ['shedding', 'standard'] as const) {
            shares[profile].push(shareOf(await arm(profile, keeps, generator, say)));
          }
        }
        const of = (profile: keyof typeof shares, name: 'goodput' | 'p99') => shares[profile].map((share) => share[name]);
        figures.push(
          { what: `goodput, of the peak, ${what}`, unit: '', digits: 2, ours: of('shedding', 'goodput'), bar: { of: 'value', least: 0.9 } },
          { what: `p99, times that of the peak, ${what}`, unit: '', digits: 2, ours: of('shedding', 'p99'), bar: { of: 'value', most: 2 } },
          { what: `the same without it, ${what}`, unit: '', digits: 2, ours: of('standard', 'goodput'), bar: { of: 'value', most: 0.5 } },
          { what: `p99 without it, ${what}`, unit: '', digits: 2, ours: of('standard', 'p99') },
        );
      }
    } finally {
      generator.close();
    }
    return figures;
  },
};

export default overload;
