import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { interleave, type Benchmark } from './benchmark.js';
import { framework, launch, launchAll, withFramework, type Contender } from './contender.js';
import type { Figure } from './figures.js';
import { LoadGenerator } from './load.js';
import type { LoadMode } from './load-process.js';
import { cpuTime, rss } from './process-stat.js';

/** Milliseconds after a start until its memory is looked at, and of one sample of load. */
const SETTLED = 1_500;
const SAMPLE = 1_000;
const CLIENTS: Record<LoadMode, number> = { 'keep-alive': 64, 'per-connection': 32 };
/** What may be measured as slower without being slower: the interval of the ratio must not lie wholly beyond it. */
const BAR = 1.02;

type Pair = Record<'now' | 'before', number[]>;

/** The same contender, run by another checkout's build, with a title of its own, as both run at once. */
const from = (dir: string, { name, args, env }: Contender): Contender =>
  ({ name, env, args: [path.join(dir, 'dist/bin/framework.js'), ...args.slice(1), '--title', 'bench-before'] });

async function starts(contender: Contender, workers: number, warm: boolean): Promise<number> {
  const running = await launch(contender, { workers });
  if (warm) await running.stop();
  else await running.kill();
  return running.took;
}

const pair = (
  dir: string, contender: Contender, rounds: number, measure: (contender: Contender, warm: boolean) => Promise<number>,
): Promise<Pair> =>
  interleave(rounds, { now: (warm) => measure(contender, warm), before: (warm) => measure(from(dir, contender), warm) });

async function load(dir: string, rounds: number, mode: LoadMode): Promise<Pair> {
  const generator = new LoadGenerator();
  const contender = framework('plain');
  const { now, before } = await launchAll({ now: contender, before: from(dir, contender) }, { workers: 2 });
  try {
    const cost = async ({ master, workers, port }: typeof now): Promise<number> => {
      const pids = [master, ...workers];
      const start = cpuTime(pids) ?? NaN;
      const { requests, errors } = await generator.run({ mode, port, clients: CLIENTS[mode], duration: SAMPLE });
      if (errors > 0) throw new Error(`${errors} of ${requests} requests failed`);
      return ((cpuTime(pids) ?? NaN) - start) * 1_000 / requests;
    };
    return await interleave(rounds, { now: () => cost(now), before: () => cost(before) });
  } finally {
    generator.close();
    await Promise.all([now.kill(), before.kill()]);
  }
}

/** Master and worker together, MiB. */
async function memory(contender: Contender): Promise<number> {
  const running = await launch(contender, { workers: 2 });
  try {
    await delay(SETTLED);
    return [running.master, ...running.workers].reduce((sum, pid) => sum + (rss(pid) ?? NaN), 0);
  } finally {
    await running.kill();
  }
}

const beside: Benchmark = {
  about: 'this build and another checkout\'s (--beside DIR) in turns: what a change costs',
  optional: true,
  async run({ runs = 15, beside: dir, say }) {
    if (dir === undefined) throw new Error('beside: --beside DIR names a checkout with a build of its own');
    const figure = (what: string, unit: string, { now, before }: Pair, digits = 0): Figure =>
      ({ what, unit, digits, ours: now, theirs: { name: 'before', samples: before }, bar: { of: 'interval', most: BAR } });
    const figures: Figure[] = [];
    for (const [what, contender] of Object.entries({
      'start, 2 workers': framework('plain'), 'start, agent and 2 workers': withFramework,
    })) {
      say(`${what}: ${runs} rounds`);
      figures.push(figure(what, 'ms', await pair(dir, contender, runs, (one, warm) => starts(one, 2, warm))));
    }
    for (const mode of Object.keys(CLIENTS) as LoadMode[]) {
      say(`${mode}: ${runs} rounds`);
      figures.push(figure(`${mode}: processor time a request`, 'us', await load(dir, runs, mode), 1));
    }
    say(`memory: ${runs} rounds`);
    figures.push(figure('RSS of master and 2 workers', 'MiB', await pair(dir, framework('plain'), runs, (one) => memory(one)), 1));
    return figures;
  },
};

export default beside;
