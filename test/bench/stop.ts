import { interleave, type Benchmark } from './benchmark.js';
import { bare, eggCluster, framework, launch, type Contender } from './contender.js';

async function sample(contender: Contender): Promise<number> {
  return (await launch(contender, { workers: 2 })).stop();
}

const stop: Benchmark = {
  about: 'from SIGTERM until the master has exited, 2 workers, nothing in flight',
  async run({ runs = 5, say }) {
    say(`stop: ${runs} rounds`);
    const samples = await interleave(runs, {
      bare: () => sample(bare), ours: () => sample(framework('plain')), eggCluster: () => sample(eggCluster),
    });
    return [
      { what: 'stop, idle', unit: 'ms', ours: samples.ours, theirs: { name: bare.name, samples: samples.bare } },
      { what: 'stop, idle', unit: 'ms', ours: samples.ours, theirs: { name: eggCluster.name, samples: samples.eggCluster } },
    ];
  },
};

export default stop;
