import type { Benchmark } from './benchmark.js';
import { skip as noReusePort } from '../helpers/reuse-port.js';
import { bare, bareOs, bareReusePort, eggCluster, framework, launchAll, type Contender, type Running } from './contender.js';
import { apart } from './cores.js';
import type { Figure } from './figures.js';
import { LoadGenerator } from './load.js';
import type { LoadMode } from './load-process.js';
import { cpuTime } from './process-stat.js';

/** Connections at a time, milliseconds of one sample, samples of one start. */
const CLIENTS: Record<LoadMode, number> = { 'keep-alive': 64, 'per-connection': 32 };
const SAMPLE = 1_000;
const SAMPLES = 3;
const BALANCES: Readonly<Record<string, string>> = { oursOs: 'os', oursReusePort: 'reuse-port' };
const MODES: LoadMode[] = ['keep-alive', 'per-connection'];

/** With a title of its own, as all run at once. */
const balanced = (balance: string) => framework('plain', ['--title', `bench-${balance}`], { CLUSTER_BALANCE: balance });

type Bars = Record<LoadMode, Record<'rate' | 'cost', Figure['bar']>>;

/** Nothing between the app and its client: what is left is the noise of the machine. */
const SAME = { rate: { of: 'interval', least: 0.99 }, cost: { of: 'interval', most: 1.01 } } as const;
const AS_BARE: Bars = { 'keep-alive': SAME, 'per-connection': SAME };
/** A connection handed over by our own acceptor costs less than one by node:cluster's round-robin. */
const LIGHTER = { rate: { of: 'ratio', least: 1.15 }, cost: { of: 'ratio', most: 0.8 } } as const;

interface Sample {
  perSecond: number;
  /** Processor time of master and workers for one request, microseconds: free of what the load generator costs. */
  cost: number;
}

/** Samples by contender and mode. All contenders run at once, idle but for the one that is asked. */
async function round(contenders: Record<string, Contender>, generator: LoadGenerator, results: Results): Promise<void> {
  const running = await launchAll(contenders, { workers: 2, cores: apart?.server });
  try {
    for (const mode of MODES) {
      // The first of each is for the compiler.
      for (const name of Object.keys(running)) await sample(running[name] as Running, mode, generator);
      for (let n = 0; n < SAMPLES; n++) {
        const names = Object.keys(running);
        for (const name of n % 2 ? names.toReversed() : names) {
          ((results[name] ??= { 'keep-alive': [], 'per-connection': [] })[mode])
            .push(await sample(running[name] as Running, mode, generator));
        }
      }
    }
  } finally {
    await Promise.all(Object.values(running).map((one) => one.kill()));
  }
}

type Results = Record<string, Record<LoadMode, Sample[]>>;

async function sample({ master, workers, port }: Running, mode: LoadMode, generator: LoadGenerator): Promise<Sample> {
  const pids = [master, ...workers];
  const before = cpuTime(pids) ?? NaN;
  const { requests, errors, seconds } = await generator.run({ mode, port, clients: CLIENTS[mode], duration: SAMPLE });
  if (errors > 0) throw new Error(`${errors} of ${requests} requests failed`);
  return { perSecond: requests / seconds, cost: ((cpuTime(pids) ?? NaN) - before) * 1_000 / requests };
}

const throughput: Benchmark = {
  about: 'answers a second of an http server that says "ok", 2 workers; raw TCP clients in one process, on a core of their own',
  async run({ runs = 5, say }) {
    const generator = new LoadGenerator(apart?.load);
    const results: Results = {};
    const contenders = {
      bare, ours: framework('plain'), bareOs, oursOs: balanced('os'), eggCluster,
      ...(noReusePort ? {} : { bareReusePort, oursReusePort: balanced('reuse-port') }),
    };
    try {
      for (let n = 0; n < runs; n++) {
        say(`throughput: round ${n + 1} of ${runs}`);
        await round(contenders, generator, results);
      }
    } finally {
      generator.close();
    }
    const figures = (ours: string, theirs: string, name: string, bars?: Bars) => MODES.flatMap((mode): Figure[] => {
      const [mine, other] = [results[ours]?.[mode] ?? [], results[theirs]?.[mode] ?? []];
      const what = `${mode}${BALANCES[ours] === undefined ? '' : `, balance "${BALANCES[ours]}"`}`;
      return [
        {
          what, unit: '/s', ours: mine.map((one) => one.perSecond), theirs: { name, samples: other.map((one) => one.perSecond) },
          bar: bars?.[mode].rate,
        },
        {
          what: '  processor time a request', unit: 'us', digits: 1, ours: mine.map((one) => one.cost),
          theirs: { name, samples: other.map((one) => one.cost) }, bar: bars?.[mode].cost,
        },
      ];
    });
    return [
      ...figures('ours', 'bare', bare.name, { ...AS_BARE, 'per-connection': LIGHTER }),
      ...figures('oursOs', 'bareOs', bareOs.name, AS_BARE),
      ...(noReusePort ? [] : figures('oursReusePort', 'bareReusePort', bareReusePort.name, AS_BARE)),
      ...figures('ours', 'eggCluster', eggCluster.name),
    ];
  },
};

export default throughput;
