import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { Load } from '../helpers/load.js';
import { bin, node } from '../helpers/cluster.js';
import type { Benchmark } from './benchmark.js';
import { framework, launch } from './contender.js';

/** Clients that ask all the while. */
const MIX = { keepAlive: 4, perConnection: 2 };
/** Milliseconds between two requests of a client: how long an answer takes is asked here, not how many there are. */
const PAUSE = 5;

interface Sample { took: number; longest: number }

async function sample(): Promise<Sample> {
  const contender = framework('echo');
  const running = await launch(contender, { workers: 4 });
  try {
    const load = new Load(MIX, { http: { port: running.port, host: '127.0.0.1' }, pause: PAUSE });
    await delay(500);
    const started = performance.now();
    const code = await reload(contender.args.slice(2, 3), running.env);
    const took = performance.now() - started;
    await load.stop();
    if (code !== 0 || load.lost > 0) throw new Error(`the reload ended with ${code}\n${load.report()}`);
    return { took, longest: Math.max(...Object.values(load.tallies).map(({ longest }) => longest)) };
  } finally {
    await running.stop();
  }
}

function reload(target: string[], env: NodeJS.ProcessEnv): Promise<number | null> {
  return new Promise((resolve, reject) => {
    spawn(node, [bin, 'reload', ...target], { env, stdio: ['ignore', 'ignore', 'inherit'] }).once('error', reject).once('exit', resolve);
  });
}

const benchmark: Benchmark = {
  about: '`framework reload` of 4 workers while clients ask a fast handler',
  async run({ runs = 5, say }) {
    say(`reload: ${runs} runs`);
    const samples: Sample[] = [];
    for (let n = 0; n < runs; n++) samples.push(await sample());
    return [
      { what: 'reload of 4 workers', unit: 'ms', ours: samples.map(({ took }) => took) },
      {
        what: 'longest answer of a fast handler during it', unit: 'ms', ours: samples.map(({ longest }) => longest),
        bar: { of: 'value', most: 250 },
      },
    ];
  },
};

export default benchmark;
