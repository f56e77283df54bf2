import { interleave, type Benchmark } from './benchmark.js';
import { eggCluster, framework, launch, withFramework, type Contender } from './contender.js';
import type { Figure } from './figures.js';

/** Messages of one sample, and how many are under way at a time. */
const ALONE = { count: 3_000, parallel: 1 };
const CROWD = { count: 10_000, parallel: 64 };

interface Trips { perSecond: number; p50: number }
interface Sample { alone: Trips; crowd: Trips }

async function sample(contender: Contender): Promise<Sample> {
  const running = await launch(contender, { workers: 1 });
  const trips = async ({ count, parallel }: typeof ALONE): Promise<Trips> => {
    const response = await fetch(`http://127.0.0.1:${running.port}/round-trips?count=${count}&parallel=${parallel}`);
    return await response.json() as Trips;
  };
  try {
    await trips({ count: 1_000, parallel: 8 });
    return { alone: await trips(ALONE), crowd: await trips(CROWD) };
  } finally {
    await running.kill();
  }
}

const messages: Benchmark = {
  about: 'a worker sends 1 KiB to the agent and has it back, through the master',
  async run({ runs = 5, say }) {
    say(`messages: ${runs} rounds`);
    const { request, send, egg } = await interleave(runs, {
      request: () => sample(framework('messenger')),
      send: () => sample(withFramework),
      egg: () => sample(eggCluster),
    });
    const figures = (what: string, ours: Sample[]): Figure[] => [
      {
        what: `${what}, one at a time`, unit: 'us', ours: ours.map(({ alone }) => alone.p50 * 1_000),
        theirs: { name: eggCluster.name, samples: egg.map(({ alone }) => alone.p50 * 1_000) },
      },
      {
        what: `${what}, 64 under way`, unit: '/s', ours: ours.map(({ crowd }) => crowd.perSecond),
        theirs: { name: eggCluster.name, samples: egg.map(({ crowd }) => crowd.perSecond) },
      },
    ];
    return [...figures('messenger.request', request), ...figures('process.send({ action })', send)];
  },
};

export default messages;
