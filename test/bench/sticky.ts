import type { Benchmark } from './benchmark.js';
import { eggCluster, framework, launch, launchAll, type Contender, type Running } from './contender.js';
import { apart } from './cores.js';
import { fixture } from '../helpers/cluster.js';
import type { Figure } from './figures.js';
import { LoadGenerator } from './load.js';
import type { LoadOrder } from './load-process.js';

/** Milliseconds of one sample; samples of one start. */
const SAMPLE = 1_000;
const SAMPLES = 3;
/** Connections a second under which messages are timed: far from what would fill the machine. */
const RATE = 1_500;
const ADDRESSES = 250;

const connection = { mode: 'per-connection', clients: 32, duration: SAMPLE, addresses: ADDRESSES } as const;
const keepAlive = { mode: 'keep-alive', clients: 250, duration: SAMPLE, addresses: ADDRESSES } as const;
const keyed = { keys: 64 } as const;
type Order = Omit<LoadOrder, 'port'>;

const plain = framework('plain');
// Beside the plain one, in its folder: two of one name are refused.
const sticky = framework('plain', ['--sticky', '--title', 'bench-sticky']);
const request = framework('sticky-request');
const eggSticky: Contender = { ...eggCluster, name: 'egg-cluster sticky', env: { ...eggCluster.env, BENCH_STICKY: 'true' } };
const socketIo: Contender = { name: '@socket.io/sticky', args: [fixture('bench/socketio-sticky.cjs')] };

/** Answers a second of each, all of them running and idle but for the one that is asked. */
async function rates(
  contenders: Record<string, [Contender, Order][]>, rounds: number, generator: LoadGenerator,
): Promise<Record<string, number[][]>> {
  const results: Record<string, number[][]> = {};
  for (let round = 0; round < rounds; round++) {
    const first = Object.fromEntries(Object.entries(contenders).map(([name, asked]) => [name, asked[0]![0]]));
    const all = await launchAll(first, { workers: 2, cores: apart?.server });
    const running = Object.entries(all).map(([name, one]) => ({ name, one, asked: contenders[name]! }));
    try {
      for (let sample = -1; sample < SAMPLES; sample++) {
        for (const { name, asked, one } of sample % 2 ? running.toReversed() : running) {
          for (const [at, [, order]] of asked.entries()) {
            const { requests, errors, seconds } = await generator.run({ ...order, port: one.port });
            if (errors > requests / 100) throw new Error(`${name}: ${errors} of ${requests} requests failed`);
            // The first of each is for the compiler.
            if (sample >= 0) ((results[name] ??= [])[at] ??= []).push(requests / seconds);
          }
        }
      }
    } finally {
      await Promise.all(running.map(({ one }) => one.kill()));
    }
  }
  return results;
}

/** Milliseconds of a message to the agent and back: idle, and while connections are handed out. */
async function pings(rounds: number, generator: LoadGenerator): Promise<{ idle: number[]; loaded: number[] }> {
  const idle: number[] = [];
  const loaded: number[] = [];
  const trip = async ({ port }: Running) => {
    const response = await fetch(`http://127.0.0.1:${port}/round-trips?count=400&parallel=1`);
    return (await response.json() as { p50: number }).p50;
  };
  for (let round = 0; round < rounds; round++) {
    // On all cores: a message takes its way through three processes, which on one of them wait for each other whatever is done.
    const running = await launch(framework('messenger', ['--sticky']), { workers: 2 });
    try {
      await trip(running);
      idle.push(await trip(running));
      const load = generator.run({ ...connection, rate: RATE, port: running.port });
      await new Promise((resolve) => setTimeout(resolve, 200));
      loaded.push(await trip(running));
      await load;
    } finally {
      await running.kill();
    }
  }
  return { idle, loaded };
}

const figure = (what: string, ours: number[], name: string, samples: number[], least: number): Figure =>
  ({ what, unit: '/s', ours, theirs: { name, samples }, bar: { of: 'ratio', least } });

const bench: Benchmark = {
  about: `clients of ${ADDRESSES} addresses, 2 workers: by connection beside plain round-robin and egg-cluster's sticky; `
    + `by request, half of them sent on, beside @socket.io/sticky`,
  async run({ runs = 3, say }) {
    const generator = new LoadGenerator(apart?.load);
    try {
      say(`sticky: ${runs} rounds of throughput`);
      const results = await rates({
        plain: [[plain, connection], [plain, keepAlive]],
        sticky: [[sticky, connection], [sticky, keepAlive]],
        egg: [[eggSticky, connection]],
        request: [[request, { ...keepAlive, ...keyed }], [request, { ...connection, ...keyed }]],
        // It ends each connection with its answer, so this is all that it can do.
        socketIo: [[socketIo, { ...connection, ...keyed }]],
      }, runs, generator);
      const of = (name: string, at = 0) => results[name]![at] as number[];
      say('sticky: messages under load');
      const { idle, loaded } = await pings(runs * 2, generator);
      return [
        figure('by connection, a connection each', of('sticky'), 'plain round-robin', of('plain'), 0.7),
        figure('by connection, a connection each', of('sticky'), eggSticky.name, of('egg'), 1.4),
        figure('by connection, keep-alive', of('sticky', 1), 'plain round-robin', of('plain', 1), 0.97),
        figure('by request, keep-alive', of('request'), `${socketIo.name} (connections)`, of('socketIo'), 1.5),
        figure('by request, keep-alive', of('request'), 'plain round-robin', of('plain', 1), 0.7),
        { ...figure('by request, a connection each', of('request', 1), socketIo.name, of('socketIo'), 0), bar: undefined },
        {
          what: `message to the agent and back at ${RATE} connections/s`, unit: 'us', ours: loaded.map((ms) => ms * 1_000),
          theirs: { name: 'idle', samples: idle.map((ms) => ms * 1_000) }, bar: { of: 'ratio', most: 2 },
        },
      ];
    } finally {
      generator.close();
    }
  },
};

export default bench;
