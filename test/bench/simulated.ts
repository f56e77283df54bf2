import { setTimeout as delay } from 'node:timers/promises';
import { reload } from '../../lib/master/operations/reload.js';
import { buildStatus } from '../../lib/master/status-report.js';
import { running } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';
import type { Benchmark } from './benchmark.js';
import type { Figure } from './figures.js';

/** Workers, more than any machine of ours carries. */
const SIZES = [64, 256, 1_024, 2_048];
/** Of them so many die; statuses that are made for one figure. */
const DEATHS = 50;
const STATUSES = 5;

/** Processor time since it was last asked, ms. */
function stopwatch(): () => number {
  let before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    return (user + system) / 1_000;
  };
}

type Costs = Record<'start' | 'reload' | 'death' | 'status', number>;

async function measure(workers: number): Promise<Costs> {
  const ends: (() => unknown)[] = [];
  const scope = { after: (fn: () => unknown) => { ends.unshift(fn); } };
  const passed = stopwatch();
  try {
    const { core, forks } = await running(scope, { workers, reload: { soak: 0, batch: 16 } });
    const start = passed() / workers;
    forks.manners.boots = true;
    await reload(core, 'simulated');
    await turns();
    const reloaded = passed() / workers;
    for (const one of forks.alive.slice(0, DEATHS)) one.exits(1);
    while (!core.workers.complete) await delay(1);
    const death = passed() / DEATHS;
    for (let time = 0; time < STATUSES; time++) buildStatus(core);
    return { start, reload: reloaded, death, status: passed() / STATUSES };
  } finally {
    for (const end of ends) await end();
  }
}

const TEXTS: Readonly<Record<keyof Costs, string>> = {
  start: 'a worker at a start', reload: 'a worker at a reload', death: 'a death and its replacement', status: 'a status that is made',
};

const simulated: Benchmark = {
  about: 'what the master decides for many workers, processor time: its real core, the processes left out',
  optional: true,
  async run({ say }) {
    // The first is for the compiler.
    await measure(SIZES[0] as number);
    const costs: [number, Costs][] = [];
    for (const size of SIZES) {
      say(`simulated: ${size} workers`);
      costs.push([size, await measure(size)]);
    }
    return Object.entries(TEXTS).flatMap(([name, text]): Figure[] => costs.map(([size, cost]) =>
      ({ what: `${size} workers: ${text}`, unit: 'ms', digits: 2, ours: [cost[name as keyof Costs]] })));
  },
};

export default simulated;
