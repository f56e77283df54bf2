import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { bin, freePort, node } from '../helpers/cluster.js';
import type { Benchmark } from './benchmark.js';

const ROUNDS = 20;
/** Between an answer and the next save, ms: longer than any of them needs to be quiet again. */
const PAUSE = 400;
const DEADLINE = 20_000;
/** Milliseconds that the plugin waits by itself for further changes, after one file that is saved alone. */
const DEBOUNCE = 10;

const source = (version: number) => `const http = require('node:http');
http.createServer((request, response) => response.end('version ${version}')).listen(process.env.PORT);
`;

interface Runner { app: App; child: ChildProcess; took: number[]; refused: number; version: number }
interface App { dir: string; port: number; file: string }

async function makeApp(): Promise<App> {
  const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ht-bench-')));
  const file = path.join(dir, 'app.js');
  writeFileSync(path.join(dir, 'package.json'), '{"name":"bench-dev","private":true}');
  writeFileSync(file, source(0));
  return { dir, port: await freePort(), file };
}

function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    http.get({ port, host: '127.0.0.1', agent: false, timeout: DEADLINE }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => { body += text; }).on('end', () => resolve(body));
    }).on('error', reject);
  });
}

/** Asks until the version is there; counts what was refused or cut on the way. */
async function until({ port }: App, version: number): Promise<number> {
  let failed = 0;
  const deadline = performance.now() + DEADLINE;
  while (performance.now() < deadline) {
    try {
      if (await ask(port) === `version ${version}`) return failed;
    } catch {
      failed++;
    }
    await delay(1);
  }
  throw new Error(`version ${version} was not answered within ${DEADLINE} ms`);
}

const start = (args: string[], { dir, port }: App): ChildProcess =>
  spawn(node, args, {
    cwd: dir, env: { ...process.env, PORT: String(port), NODE_ENV: undefined }, stdio: ['ignore', 'ignore', 'ignore'], detached: true,
  });

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  try {
    process.kill(-(child.pid as number), 'SIGKILL');
  } catch {
    child.kill('SIGKILL');
  }
  await gone;
}

const nodemon = path.join(path.dirname(createRequire(import.meta.url).resolve('nodemon/package.json')), 'bin/nodemon.js');
const COMMANDS = { ours: [bin, 'dev', '.'], watch: ['--watch', 'app.js'], nodemon: [nodemon, '--quiet', 'app.js'] };

async function run(args: string[]): Promise<Runner> {
  const app = await makeApp();
  const child = start(args, app);
  await until(app, 0);
  return { app, child, took: [], refused: 0, version: 0 };
}

async function save(runner: Runner): Promise<void> {
  await delay(PAUSE);
  writeFileSync(runner.app.file, source(++runner.version));
  const saved = performance.now();
  runner.refused += await until(runner.app, runner.version);
  runner.took.push(performance.now() - saved);
}

/** What a start takes that nobody can do without. */
async function bareStart(app: App): Promise<number> {
  const began = performance.now();
  const child = start(['app.js'], app);
  await until(app, 0);
  const took = performance.now() - began;
  await end(child);
  return took;
}

const dev: Benchmark = {
  about: 'from a save to the new answer of a plain http app, beside a bare start of it, node --watch and nodemon',
  async run({ runs = ROUNDS, say }) {
    say(`dev: ${runs} saves each`);
    const bare: number[] = [];
    const bareApp = await makeApp();
    const runners: Record<string, Runner> = {};
    try {
      for (const [name, args] of Object.entries(COMMANDS)) runners[name] = await run(args);
      await delay(1_500);
      for (let round = 0; round < runs; round++) {
        bare.push(await bareStart(bareApp));
        for (const runner of Object.values(runners)) await save(runner);
      }
    } finally {
      for (const { child } of Object.values(runners)) await end(child);
      for (const { dir } of [bareApp, ...Object.values(runners).map(({ app }) => app)]) rmSync(dir, { recursive: true, force: true });
    }
    const { ours, watch, nodemon: peer } = runners as Record<keyof typeof COMMANDS, Runner>;
    return [
      {
        what: 'save to answer, less the debounce', unit: 'ms', ours: ours.took.map((took) => took - DEBOUNCE),
        theirs: { name: 'bare start', samples: bare }, bar: { of: 'ratio', most: 1.1 },
      },
      {
        what: 'save to answer', unit: 'ms', ours: ours.took, theirs: { name: 'node --watch', samples: watch.took },
        bar: { of: 'ratio', most: 1 },
      },
      {
        what: 'save to answer', unit: 'ms', ours: ours.took, theirs: { name: 'nodemon', samples: peer.took }, bar: { of: 'ratio', most: 1 },
      },
      {
        what: 'refused or cut on the way', unit: '', ours: [ours.refused], theirs: { name: 'node --watch', samples: [watch.refused] },
        bar: { of: 'value', most: 0 },
      },
      {
        what: 'refused or cut on the way', unit: '', ours: [ours.refused], theirs: { name: 'nodemon', samples: [peer.refused] },
        bar: { of: 'value', most: 0 },
      },
    ];
  },
};

export default dev;
