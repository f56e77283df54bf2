import { interleave, type Benchmark } from './benchmark.js';
import { eggCluster, framework, launch, withFramework, type Contender } from './contender.js';
import type { Figure } from './figures.js';
import { cpuTime } from './process-stat.js';

/** Messages of one sample, and how many are under way at a time. */
const ALONE = { count: 3_000, parallel: 1 };
const CROWD = { count: 20_000, parallel: 64 };
/** Before anything is measured: what a process that has just started does besides, and code that is not compiled yet, is no part of it. */
const WARM = { count: 10_000, parallel: 64 };
/** 1 MiB each. */
const LARGE = { count: 60, parallel: 4, size: 1024 * 1024 };
/** Of one turn of the agent, and how many times before and while it is measured: as many messages as WARM has, and as many again. */
const SPREAD = { count: 2_000 };
const SPREADS = 5;
const MANY = 8;

interface Trips { perSecond: number; p50: number }
type Calls = Pick<Sample, 'alone' | 'crowd'>;
interface Sample { alone: Trips; crowd: Trips; large: Trips; master: number }

async function ask(port: number, what: string, wanted: object): Promise<Trips> {
  const response = await fetch(`http://127.0.0.1:${port}/${what}?${new URLSearchParams(wanted as Record<string, string>).toString()}`);
  return await response.json() as Trips;
}

async function sample(contender: Contender): Promise<Sample> {
  const { master, port, kill } = await up(contender, 1);
  const trips = (wanted: object): Promise<Trips> => ask(port, 'round-trips', wanted);
  try {
    await trips(WARM);
    const alone = await trips(ALONE);
    const before = cpuTime([master]) ?? NaN;
    const crowd = await trips(CROWD);
    const used = (cpuTime([master]) ?? NaN) - before;
    return { alone, crowd, large: await trips(LARGE), master: used * 1_000 / CROWD.count };
  } finally {
    await kill();
  }
}

/** Calls of a shared client, 64 under way; by cluster-client where the contender is egg-cluster. */
async function invokes(contender: Contender): Promise<Calls> {
  const { port, kill } = await up({ ...contender, env: { ...contender.env, BENCH_SHARES: 'yes' } }, 1);
  try {
    await ask(port, 'invokes', WARM);
    return { alone: await ask(port, 'invokes', ALONE), crowd: await ask(port, 'invokes', CROWD) };
  } finally {
    await kill();
  }
}

/** Broadcasts of the agent a second, until eight workers have heard them all. */
async function broadcasts(contender: Contender): Promise<number> {
  const { port, kill } = await up(contender, MANY);
  try {
    const spread = async (): Promise<number> => {
      let seconds = 0;
      for (let n = 0; n < SPREADS; n++) seconds += SPREAD.count / (await ask(port, 'broadcasts', SPREAD)).perSecond;
      return SPREADS * SPREAD.count / seconds;
    };
    await spread();
    return await spread();
  } finally {
    await kill();
  }
}

async function up(contender: Contender, workers: number) {
  const running = await launch(contender, { workers });
  return { master: running.master, port: running.port, kill: () => running.kill() };
}

const messages: Benchmark = {
  about: 'a worker sends to the agent and has it back; the agent to all workers',
  async run({ runs = 5, say }) {
    say(`messages: ${runs} rounds`);
    const { request, send, egg } = await interleave(runs, {
      request: () => sample(framework('messenger')),
      send: () => sample(withFramework),
      egg: () => sample(eggCluster),
    });
    say(`shared clients: ${runs} rounds`);
    const calls = await interleave(runs, { ours: () => invokes(framework('messenger')), theirs: () => invokes(eggCluster) });
    say(`broadcasts: ${runs} rounds`);
    const many = await interleave(runs, {
      ours: () => broadcasts(framework('messenger')),
      egg: () => broadcasts(eggCluster),
    });
    const call = (what: string, unit: string, of: (calls: Calls) => number, rest: Partial<Figure>): Figure =>
      ({ what, unit, ours: calls.ours.map(of), theirs: { name: 'cluster-client', samples: calls.theirs.map(of) }, ...rest });
    const figure = (what: string, unit: string, ours: Sample[], of: (sample: Sample) => number, rest: Partial<Figure> = {}): Figure =>
      ({ what, unit, ours: ours.map(of), theirs: { name: eggCluster.name, samples: egg.map(of) }, ...rest });
    return [
      figure('messenger.request, one at a time', 'us', request, ({ alone }) => alone.p50 * 1_000, { bar: { of: 'ratio', most: 0.6 } }),
      figure('messenger.request, 64 under way', '/s', request, ({ crowd }) => crowd.perSecond, { bar: { of: 'ratio', least: 2 } }),
      figure('messenger.request, 1 MiB', '/s', request, ({ large }) => large.perSecond, { bar: { of: 'ratio', least: 3 } }),
      figure('the master\'s processor time for each', 'us', request, ({ master }) => master, { bar: { of: 'value', most: 1 }, digits: 1 }),
      figure('process.send({ action }), one at a time', 'us', send, ({ alone }) => alone.p50 * 1_000),
      figure('process.send({ action }), 64 under way', '/s', send, ({ crowd }) => crowd.perSecond),
      call('calls of a shared client, one at a time', 'us', ({ alone }) => alone.p50 * 1_000, {}),
      call('calls of a shared client, 64 under way', '/s', ({ crowd }) => crowd.perSecond, { bar: { of: 'ratio', least: 3 } }),
      {
        what: `broadcasts to ${MANY} workers`, unit: '/s', ours: many.ours, theirs: { name: eggCluster.name, samples: many.egg },
        bar: { of: 'ratio', least: 2 },
      },
    ];
  },
};

export default messages;
