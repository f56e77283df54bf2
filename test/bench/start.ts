import { bare, eggCluster, framework, launch, library, withFramework, type Contender } from './contender.js';
import { interleave, type Benchmark } from './benchmark.js';
import type { Figure } from './figures.js';

async function time(contender: Contender, workers: number, warm: boolean): Promise<number> {
  const running = await launch(contender, { workers });
  // What is kept from one start to the next is written at a good end.
  if (warm) await running.stop();
  else await running.kill();
  return running.took;
}

const start: Benchmark = {
  about: 'from the spawn of a process until the last of its workers listens, as the workers themselves tell',
  async run({ runs = 15, say }) {
    const plain = framework('plain');
    const contenders: Record<string, Contender> = { bare, plain, library, agent: framework('agent'), withFramework, eggCluster };
    say(`start: ${runs} rounds of ${Object.keys(contenders).length}, 2 workers`);
    const two = await interleave(runs, tasks(contenders, 2));
    const few = Math.ceil(runs / 3);
    say(`start: ${few} rounds, 32 workers`);
    const many = await interleave(few, tasks({ bare, plain }, 32));

    const figure = (what: string, ours: number[] | undefined, name: string, samples: number[] | undefined, most?: number): Figure => ({
      what, unit: 'ms', ours: ours ?? [], theirs: { name, samples: samples ?? [] },
      ...(most === undefined ? {} : { bar: { of: 'ratio', most } }),
    });
    return [
      figure('start, 2 workers', two.plain, bare.name, two.bare, 1.35),
      figure('start, 2 workers, from a script', two.library, bare.name, two.bare, 1.35),
      figure('start, agent and 2 workers, Egg-shaped framework', two.withFramework, eggCluster.name, two.eggCluster, 0.6),
      figure('start, agent module and 2 workers', two.agent, eggCluster.name, two.eggCluster, 0.6),
      figure('start, 32 workers', many.plain, bare.name, many.bare, 1.15),
    ];
  },
};

const tasks = (contenders: Record<string, Contender>, workers: number): Record<string, (warm: boolean) => Promise<number>> =>
  Object.fromEntries(Object.entries(contenders).map(([name, contender]) => [name, (warm) => time(contender, workers, warm)]));

export default start;
