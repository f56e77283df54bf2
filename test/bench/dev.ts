import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { bin, freePort, node } from '../helpers/cluster.js';

/** From a save to the new answer, beside the peers, and beside what a bare start of the same app takes. */
const ROUNDS = Number(process.env.ROUNDS ?? 20);
/** Between an answer and the next save, ms: longer than any of them needs to be quiet again. */
const PAUSE = 400;
const DEADLINE = 20_000;

const source = (version: number) => `const http = require('node:http');
http.createServer((request, response) => response.end('version ${version}')).listen(process.env.PORT);
`;

interface Runner { name: string; args: string[]; app: App; child: ChildProcess; took: number[]; refused: number; version: number }
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
  spawn(node, args, { cwd: dir, env: { ...process.env, PORT: String(port), NODE_ENV: undefined }, stdio: ['ignore', 'ignore', 'ignore'], detached: true });

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

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;

const nodemon = path.join(path.dirname(createRequire(import.meta.url).resolve('nodemon/package.json')), 'bin/nodemon.js');
const runners: Runner[] = [];
const bare: number[] = [];
const bareApp = await makeApp();
try {
  for (const [name, args] of [
    ['framework dev', [bin, 'dev', '.']],
    ['node --watch', ['--watch', 'app.js']],
    ['nodemon', [nodemon, '--quiet', 'app.js']],
  ] as const) {
    const app = await makeApp();
    const runner = { name, args: [...args], app, child: start([...args], app), took: [], refused: 0, version: 0 };
    runners.push(runner);
    await until(app, 0);
  }
  await delay(1_500);
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    const child = start(['app.js'], bareApp);
    await until(bareApp, 0);
    bare.push(performance.now() - began);
    await end(child);
    for (const runner of runners) {
      await delay(PAUSE);
      writeFileSync(runner.app.file, source(++runner.version));
      const saved = performance.now();
      runner.refused += await until(runner.app, runner.version);
      runner.took.push(performance.now() - saved);
    }
  }
} finally {
  for (const { child } of runners) await end(child);
  for (const { dir } of [bareApp, ...runners.map(({ app }) => app)]) rmSync(dir, { recursive: true, force: true });
}

const base = median(bare);
const DEBOUNCE = 30;
console.log(`From save to the new answer, plain http app, median of ${ROUNDS}, ms (bare \`node app.js\` from spawn to its first answer: ${base.toFixed(0)})`);
for (const { name, took, refused } of runners) {
  console.log(`  ${name.padEnd(14)} ${median(took).toFixed(0).padStart(5)}   ${(median(took) / base).toFixed(2)} x bare   longest ${Math.max(...took).toFixed(0).padStart(5)}   refused or cut ${refused}`);
}
const [ours, ...peers] = runners.map(({ took }) => median(took)) as [number, ...number[]];
const limit = 1.1 * base + DEBOUNCE;
const held = ours <= limit && peers.every((peer) => ours < peer) && runners[0]?.refused === 0;
console.log(`bar: at most ${limit.toFixed(0)} ms (1.1 x bare + ${DEBOUNCE} debounce), ahead of both, none refused: ${held ? 'held' : 'MISSED'}`);
process.exitCode = held ? 0 : 1;
