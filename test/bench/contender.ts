import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { constants, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { bin, fixture, freePort, node } from '../helpers/cluster.js';

/** Something that serves with N workers. Each worker writes a line into BENCH_PIPE when it listens. */
export interface Contender {
  name: string;
  args: string[];
  env?: Record<string, string>;
  cwd?: string;
}

export interface Place {
  port: number;
  workers: number;
  /** Cores that it may run on, as taskset names them. */
  cores?: string;
}

const benchFixture = (name: string): string => fixture(path.join('bench', name));

/** Milliseconds that a start or an exit may take. */
const PATIENCE = 30_000;

export const bare: Contender = { name: 'bare cluster', args: [benchFixture('bare.cjs')] };
export const bareOs: Contender = { name: 'bare SCHED_NONE', args: bare.args, env: { BENCH_BALANCE: 'os' } };
export const bareReusePort: Contender = { name: 'bare reusePort', args: bare.args, env: { BENCH_BALANCE: 'reuse-port' } };
export const eggCluster: Contender = { name: 'egg-cluster', args: [benchFixture('egg-cluster.cjs')], env: { NODE_ENV: 'production' } };
export const library: Contender = { name: 'startCluster', args: [benchFixture('library.mjs')] };

export function framework(app: string, flags: string[] = [], env: Record<string, string> = {}): Contender {
  return { name: ['framework start', ...flags].join(' '), args: [bin, 'start', benchFixture(app), ...flags], env };
}

/** With an agent, and the same bare framework that egg-cluster is given. */
export const withFramework = framework('plain', ['--framework', benchFixture('framework')]);

/** A contender that has started: all its workers listen. */
export class Running {
  readonly master: number;
  readonly port: number;
  /** Process ids of the workers, in the order in which they listened. */
  readonly workers: number[];
  /** Milliseconds from spawn until the last worker listened. */
  readonly took: number;
  readonly env: NodeJS.ProcessEnv;
  readonly #process: ChildProcess;
  readonly #exit: Promise<unknown>;

  constructor(process_: ChildProcess, started: { port: number; workers: number[]; took: number; env: NodeJS.ProcessEnv }) {
    this.#process = process_;
    this.master = process_.pid as number;
    this.port = started.port;
    this.workers = started.workers;
    this.took = started.took;
    this.env = started.env;
    this.#exit = new Promise((resolve) => {
      if (process_.exitCode !== null || process_.signalCode !== null) resolve(null);
      process_.once('exit', resolve);
    });
  }

  /** SIGTERM; milliseconds until the master has exited. */
  async stop(): Promise<number> {
    const started = performance.now();
    this.#process.kill('SIGTERM');
    await withDeadline(this.#exit, 'exit');
    return performance.now() - started;
  }

  /** The whole process group at once. */
  async kill(): Promise<void> {
    try {
      process.kill(-this.master, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
    await withDeadline(this.#exit, 'exit');
  }
}

const tmp = mkdtempSync(path.join(os.tmpdir(), 'hatchery-bench-'));
process.once('exit', () => rmSync(tmp, { recursive: true, force: true }));
let serial = 0;

/** Spawns it and resolves when as many workers listen as were asked for. */
export async function launch(
  { name, args, env, cwd }: Contender, { workers, port: wanted, cores }: Partial<Place> & Pick<Place, 'workers'>,
): Promise<Running> {
  const port = wanted ?? await freePort();
  // A directory for each: records of instances that were killed would slow the next one down.
  const own = path.join(tmp, String(serial++));
  mkdirSync(own, { mode: 0o700 });
  const pipe = path.join(own, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const listening = new Socket({ fd: openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK), readable: true, writable: false });
  const full: NodeJS.ProcessEnv = {
    ...process.env, NODE_ENV: 'production', NODE_OPTIONS: undefined, XDG_RUNTIME_DIR: own, TMPDIR: own,
    NODE_COMPILE_CACHE: path.join(tmp, 'compiled'), ...env,
    BENCH_PIPE: pipe, BENCH_WORKERS: String(workers), CLUSTER_WORKERS: String(workers), PORT: String(port),
  };
  const started = performance.now();
  const [command = node, ...words] = [...(cores === undefined ? [] : ['taskset', '-c', cores]), node, ...args];
  const child = spawn(command, words, { env: full, cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => { output = (output + String(chunk)).slice(-4_000); });
  }
  const pids: number[] = [];
  try {
    await withDeadline(new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`${name} ended with code ${code} before it listened\n${output}`)));
      listening.on('data', (chunk) => {
        for (const line of String(chunk).split('\n')) if (line) pids.push(Number(line));
        if (pids.length >= workers) resolve();
      });
    }), `start of ${name}`);
  } catch (error) {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    throw error instanceof Error ? new Error(`${error.message}\n${output}`) : error;
  } finally {
    listening.destroy();
  }
  return new Running(child, { port, workers: pids, took: performance.now() - started, env: full });
}

function withDeadline<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout;
  return Promise.race([
    promise,
    new Promise<never>((_, reject) => { timer = setTimeout(() => reject(new Error(`no ${what} within ${PATIENCE} ms`)), PATIENCE); }),
  ]).finally(() => clearTimeout(timer));
}

/** All at once, by name; where one does not start none is left. */
export async function launchAll<Name extends string>(
  contenders: Readonly<Record<Name, Contender>>, place: Parameters<typeof launch>[1],
): Promise<Record<Name, Running>> {
  const names = Object.keys(contenders) as Name[];
  const started = await Promise.allSettled(names.map((name) => launch(contenders[name], place)));
  const running = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = started.find((one) => one.status === 'rejected');
  if (!failed) return Object.fromEntries(names.map((name, at) => [name, running[at]])) as Record<Name, Running>;
  await Promise.all(running.map((one) => one.kill()));
  throw failed.reason;
}
