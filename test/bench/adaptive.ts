import http from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster, type TestCluster } from '../helpers/cluster.js';
import type { Benchmark } from './benchmark.js';
import type { Figure } from './figures.js';

const APP = 'bench/costly';
const CLIENTS = 20;
/** Requests a second that one worker can answer, as each takes 5 ms. */
const CAPACITY = 200;
/** Of the wave, ms, and how many of them. */
const PERIOD = 30_000;
const PERIODS = 2;
/** Requests a second at its foot and at its crest, and the workers that a crest needs below 0.8 of each. */
const WAVE = { low: 20, high: 220 };
const CREST = Math.ceil(WAVE.high / CAPACITY / 0.8);

async function during<T>(profile: string, task: (cluster: TestCluster) => Promise<T>): Promise<T> {
  const ends: (() => unknown)[] = [];
  const cluster = await startCluster({ after: (fn) => ends.push(fn) }, APP, { flags: ['--env', profile], deadline: 30_000 });
  try {
    return await task(cluster);
  } finally {
    await cluster.stop();
    for (const end of ends) await end();
  }
}

/** Who answers; undefined: nobody. */
const ask = (port: number, agent: http.Agent | false): Promise<string | undefined> => new Promise((resolve) => {
  http.get({ port, host: '127.0.0.1', agent }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => { text += part; })
      .on('end', () => resolve(text)).on('error', () => resolve(undefined));
  }).on('error', () => resolve(undefined));
});

interface Second { serves: number; lost: number }

/** Milliseconds from the beginning of a load until a second worker answers; what is lost until it is gone again. */
const secondServes = (keepAlive: boolean): Promise<Second> => during('range', async (cluster) => {
  const { port } = cluster;
  await delay(1_000);
  const agent = keepAlive && new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
  const [seen, begun] = [new Set<string>(), performance.now()];
  let [serves, lost, pause, going] = [NaN, 0, 0, true];
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (going) {
      const pid = await ask(port, agent);
      if (pid === undefined) lost++;
      else if (seen.size < seen.add(pid).size && seen.size === 2) serves = performance.now() - begun;
      await delay(pause);
    }
  });
  while (Number.isNaN(serves) && performance.now() - begun < 20_000) await delay(20);
  pause = 1_000;
  while ((await cluster.status()).workers.length > 1) await delay(250);
  going = false;
  await Promise.all(clients);
  if (agent) agent.destroy();
  return { serves, lost };
});

/** How often the number moves in a load that swells and ebbs, and what is lost; nobody waits for an answer to ask again. */
const wave = () => during('wave', async (cluster) => {
  const { port } = cluster;
  const begun = performance.now();
  const open: Promise<string | undefined>[] = [];
  for (let owed = 0, last = begun; performance.now() - begun < PERIODS * PERIOD;) {
    const now = performance.now();
    const rate = WAVE.low + (WAVE.high - WAVE.low) * (1 - Math.cos((now - begun) / PERIOD * 2 * Math.PI)) / 2;
    owed += rate * (now - last) / 1_000;
    last = now;
    for (; owed >= 1; owed--) open.push(ask(port, false));
    await delay(5);
  }
  const lost = (await Promise.all(open)).filter((pid) => pid === undefined).length;
  const { adaptive } = await cluster.status();
  return { moves: (adaptive?.moves ?? []).reduce((sum, { count }) => sum + count, 0), lost };
});

const adaptive: Benchmark = {
  about: 'workers that follow the load: until a second one serves, what is lost as it goes, how often a wave of 30 s moves them',
  async run({ runs = 5, say }) {
    const figures: Figure[] = [];
    for (const [what, keepAlive] of [['a connection each', false], ['kept connections', true]] as const) {
      say(`${runs} times until a second worker serves, and is gone again: ${what}`);
      const samples: Second[] = [];
      while (samples.length < runs) samples.push(await secondServes(keepAlive));
      figures.push(
        {
          what: `a second worker serves, ${what}`, unit: 'ms', ours: samples.map(({ serves }) => serves),
          bar: { of: 'value', most: 1_000 },
        },
        {
          what: `lost until it is gone, ${what}`, unit: '', ours: [samples.reduce((sum, { lost }) => sum + lost, 0)],
          bar: { of: 'value', most: 0 },
        },
      );
    }
    say(`a wave of ${PERIOD / 1_000} s, ${PERIODS} times`);
    const { moves, lost } = await wave();
    return [
      ...figures,
      // From one to what the crest needs, and never back: the foot is shorter than `quiet`.
      { what: 'moves in the wave', unit: '', ours: [moves], bar: { of: 'value', most: CREST - 1 } },
      { what: 'lost in the wave', unit: '', ours: [lost], bar: { of: 'value', most: 0 } },
    ];
  },
};

export default adaptive;
