import { skip as noReusePort } from '../helpers/reuse-port.js';
import { interleave, type Benchmark } from './benchmark.js';
import { framework, launch } from './contender.js';
import type { Figure } from './figures.js';
import { LoadGenerator } from './load.js';

/** Connections a second, and milliseconds of one sample. */
const RATE = 400;
const SAMPLE = 5_000;

const contender = (balance: string) => framework('busy', [], { CLUSTER_BALANCE: balance });

/** At a rate that does not wait for answers, as clients do not either: who blocks is not spared. */
async function p99(balance: string, generator: LoadGenerator): Promise<number> {
  const running = await launch(contender(balance), { workers: 2 });
  try {
    await generator.run({ mode: 'per-connection', port: running.port, clients: 1, duration: 500, rate: RATE });
    const { took, errors } = await generator.run({ mode: 'per-connection', port: running.port, clients: 1, duration: SAMPLE, rate: RATE });
    if (errors > 0) throw new Error(`${errors} requests failed`);
    return took.toSorted((a, b) => a - b)[Math.floor(took.length * 0.99)] as number;
  } finally {
    await running.kill();
  }
}

const busy: Benchmark = {
  about: `99th percentile of an answer, a connection each, ${RATE} a second, 2 workers, one of which blocks 50 ms a second`,
  async run({ runs = 5, say }) {
    const generator = new LoadGenerator();
    const balances = ['round-robin', 'os', ...(noReusePort ? [] : ['reuse-port'])];
    try {
      const samples = await interleave(runs, Object.fromEntries(balances.map((balance) => [balance, () => {
        say(balance);
        return p99(balance, generator);
      }])));
      const roundRobin = samples['round-robin'] ?? [];
      return balances.slice(1).map((balance): Figure => ({
        what: `p99, one worker blocked, balance "${balance}"`, unit: 'ms', digits: 1, ours: samples[balance] ?? [],
        theirs: { name: 'round-robin', samples: roundRobin },
      }));
    } finally {
      generator.close();
    }
  },
};

export default busy;
