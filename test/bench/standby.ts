import http from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster, type TestCluster } from '../helpers/cluster.js';
import { waits } from '../helpers/standby.js';
import type { Benchmark } from './benchmark.js';

const APP = 'bench/slow';
const WITH = ['--env', 'standby'];

/** A cluster for the time of `task`. */
async function during<T>(flags: string[], task: (cluster: TestCluster) => Promise<T>): Promise<T> {
  const ends: (() => unknown)[] = [];
  const cluster = await startCluster({ after: (fn) => ends.push(fn) }, APP, { flags, deadline: 30_000 });
  try {
    return await task(cluster);
  } finally {
    await cluster.stop();
    for (const end of ends) await end();
  }
}

/** Who answers on a connection of its own; undefined: it was cut, or refused. */
const ask = (port: number): Promise<number | undefined> => new Promise((resolve) => {
  http.get({ port, host: '127.0.0.1', agent: false }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => { text += part; }).on('end', () => resolve(Number(text)));
  }).on('error', () => resolve(undefined));
});

/** Milliseconds from the kill of the only worker until its slot answers. */
async function answersAgain(cluster: TestCluster, spare: boolean): Promise<number> {
  if (spare) await waits(cluster);
  // What a start leaves to be done is not what is asked for here.
  await delay(300);
  const before = await ask(cluster.port);
  const started = performance.now();
  process.kill(before as number, 'SIGKILL');
  let now: number | undefined;
  do now = await ask(cluster.port); while (now === undefined || now === before);
  return performance.now() - started;
}

const repeated = (flags: string[], runs: number): Promise<number[]> => during(['-w', '1', ...flags], async (cluster) => {
  const samples: number[] = [];
  while (samples.length < runs) samples.push(await answersAgain(cluster, flags.length > 0));
  return samples;
});

const MOMENT = String.raw`(\d+):(\d+):(\d+),(\d+)`;
const moment = ([, hours, minutes, seconds, ms]: RegExpExecArray): number =>
  ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1_000 + Number(ms);

/** Milliseconds of a reload, and from when its first worker had loaded until an old one was told to go. */
const reloads = (flags: string[], runs: number) => during(['-w', '4', ...flags], async (cluster) => {
  const samples: { took: number; begins: number }[] = [];
  for (let generation = 2; samples.length < runs; generation++) {
    if (flags.length > 0) await waits(cluster);
    const from = cluster.output.length;
    const started = performance.now();
    const { code, stderr } = await cluster.run('reload', [], 60_000);
    if (code !== 0) throw new Error(stderr);
    const took = performance.now() - started;
    const lines = cluster.output.slice(from);
    const loaded = new RegExp(`${MOMENT} .*stands by, generation ${generation}`).exec(lines);
    const begun = new RegExp(`${MOMENT} .*worker#0 .* ready in .*draining`).exec(lines);
    samples.push({ took, begins: loaded && begun ? moment(begun) - moment(loaded) : NaN });
  }
  return samples;
});

const standby: Benchmark = {
  about: 'an app that loads for 3 s: `standby: 1` beside none; a worker that is SIGKILLed, a reload of 4',
  async run({ runs = 20, say }) {
    say(`a worker dies: ${runs} runs with one that waits, as many without`);
    const ours = await repeated(WITH, runs);
    const none = await repeated([], runs);
    const rounds = Math.max(1, Math.round(runs / 7));
    say(`reload: ${rounds} runs each`);
    const reloaded = await reloads(WITH, rounds);
    const usual = await reloads([], rounds);
    return [
      {
        what: 'killed, until its slot answers', unit: 'ms', ours, theirs: { name: 'without', samples: none },
        bar: { of: 'value', most: 50 },
      },
      { what: 'the worst of them', unit: 'ms', ours: [Math.max(...ours)], bar: { of: 'value', most: 150 } },
      {
        what: 'loaded, until a reload begins to replace', unit: 'ms', ours: reloaded.map(({ begins }) => begins),
        bar: { of: 'value', most: 50 },
      },
      {
        what: 'reload of 4 workers', unit: 'ms', ours: reloaded.map(({ took }) => took),
        theirs: { name: 'without', samples: usual.map(({ took }) => took) },
      },
    ];
  },
};

export default standby;
