import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Status } from '../../lib/api/control.js';
import { fixture, freePort, run } from '../helpers/cluster.js';
import { interleave, type Benchmark } from './benchmark.js';
import { cpuTime } from './process-stat.js';

const LINES = 100_000;
const LENGTH = 100;

interface Sample {
  /** For the worker that prints it, microseconds a line. */
  took: number;
  /** Processor time of master and worker together, microseconds a line. */
  cost: number;
}

async function sample(dir: string, rotates: boolean): Promise<Sample> {
  const port = await freePort();
  const logs = mkdtempSync(path.join(dir, 'logs-'));
  const title = `logs-${process.pid}-${rotates ? 'rotated' : 'own'}`;
  const env = { ...process.env, HATCHERY_BENCH: '1' };
  const words = [fixture('bench/printer'), '--title', title];
  const config = path.join(fixture('bench/printer'), rotates ? 'rotated.json' : 'own.json');
  const flags = ['-d', '-w', '1', '-p', String(port), '--config', config, '--stdout', path.join(logs, 'log')];
  const started = await run(['start', ...words, ...flags], { env });
  if (started.code !== 0) throw new Error(started.stderr);
  try {
    const { master, workers } = JSON.parse((await run(['status', ...words, '--json'], { env })).stdout) as Status;
    const pids = [master.pid, workers[0]?.pid as number];
    const print = async () => Number(await (await fetch(`http://127.0.0.1:${port}/${LINES}`)).text());
    await print();
    await settled(logs, LINES);
    const before = cpuTime(pids) ?? NaN;
    const took = await print();
    await settled(logs, 2 * LINES);
    return { took: took * 1_000 / LINES, cost: ((cpuTime(pids) ?? NaN) - before) * 1_000 / LINES };
  } finally {
    await run(['stop', ...words], { env });
  }
}

/** All lines have arrived. */
async function settled(logs: string, lines: number): Promise<void> {
  const size = () => readdirSync(logs).reduce((sum, name) => sum + statSync(path.join(logs, name)).size, 0);
  while (size() < lines * LENGTH) await delay(5);
}

const logs: Benchmark = {
  about: `a worker of a daemon prints ${LINES} lines of ${LENGTH} bytes: to the file itself, or through the master, which rotates at 1 MB`,
  async run({ runs = 5, say }) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'hatchery-logs-'));
    try {
      say(`logs: ${runs} rounds`);
      const { own, rotated } = await interleave(runs, { own: () => sample(dir, false), rotated: () => sample(dir, true) });
      const figure = (what: string, key: keyof Sample) => ({
        what,
        unit: 'µs',
        digits: 2,
        ours: rotated.map((one) => one[key]),
        theirs: { name: 'a file of its own', samples: own.map((one) => one[key]) },
      });
      return [
        figure('a printed line with log.rotate, for the worker', 'took'),
        figure('the same, processor time of master and worker', 'cost'),
      ];
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
};

export default logs;
