import { setTimeout as delay } from 'node:timers/promises';
import { interleave, type Benchmark } from './benchmark.js';
import { bare, eggCluster, framework, launch, type Contender } from './contender.js';
import type { Figure } from './figures.js';
import { median } from './figures.js';
import { rss } from './process-stat.js';

/** Milliseconds after the start. */
const SETTLED = 1_500;

interface Sample { master: number; worker: number }

async function sample(contender: Contender): Promise<Sample> {
  const running = await launch(contender, { workers: 2 });
  try {
    await delay(SETTLED);
    return { master: rss(running.master) ?? NaN, worker: median(running.workers.map((pid) => rss(pid) ?? NaN)) };
  } finally {
    await running.kill();
  }
}

const memory: Benchmark = {
  about: `resident memory ${SETTLED} ms after a start with 2 workers, idle`,
  async run({ runs = 5, say }) {
    if (process.platform !== 'linux') return [];
    say(`memory: ${runs} rounds`);
    const contenders: Record<string, Contender> = { bare, ours: framework('plain'), eggCluster };
    const samples = await interleave(runs, Object.fromEntries(Object.entries(contenders)
      .map(([name, contender]) => [name, () => sample(contender)])));
    const figure = (what: string, of: keyof Sample, other: string, name: string, bar?: Figure['bar']): Figure => ({
      what, unit: 'MiB', digits: 1, ours: (samples.ours ?? []).map((one) => one[of]),
      theirs: { name, samples: (samples[other] ?? []).map((one) => one[of]) }, ...(bar ? { bar } : {}),
    });
    return [
      figure('RSS of the master', 'master', 'bare', bare.name, { of: 'difference', most: 16 }),
      figure('RSS of a worker', 'worker', 'bare', bare.name),
      figure('RSS of the master', 'master', 'eggCluster', eggCluster.name),
      figure('RSS of a worker', 'worker', 'eggCluster', eggCluster.name),
    ];
  },
};

export default memory;
