import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ChildStatus, Status } from '../../lib/api/control.js';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const bin = path.join(root, 'dist/bin/framework.js');
/** The Node that runs the product; another one for the version matrix. */
export const node = process.env.TEST_NODE ?? process.execPath;
export const fixture = (name: string): string => path.join(root, 'fixtures', name);

type Living = ChildStatus & { pid: number };
/** Of slots that are filled, as those of most tests are: each row is a process. */
export type FilledStatus = { workers: Living[]; agent: Living | null } & Status;

/** What `node:test` gives a test; anything that can run a clean-up will do. */
export interface Scope { after(fn: () => unknown): void }

export interface RunResult { code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string; took: number }

export interface ClusterOptions {
  /** Further flags of the command. */
  flags?: string[];
  command?: 'start' | 'dev';
  /** Added to the environment; undefined removes. */
  env?: Record<string, string | undefined>;
  /** A fixed port; `false` for no `--port` flag. Default: a free one. */
  port?: number | false;
  /** Default: a unique one, so that tests never meet each other's instances. `false` for no `--title` flag. */
  title?: string | false;
  /** Wait until all workers are ready. Default true. */
  ready?: boolean;
  /** Another Node's path. */
  node?: string;
  /** How many descriptors the master, and so each of its children, may have. */
  descriptors?: number;
  /** Control groups that the master, and so each of its children, runs in: their directories. */
  groups?: readonly string[];
  /** A command that runs the rest of its line, before node. */
  within?: readonly string[];
  /** Flags for node itself. */
  execArgv?: string[];
  /** Deadline for ready in ms. */
  deadline?: number;
  cwd?: string;
  /** Descriptors of the process; default: stdin closed, stdout and stderr collected. */
  stdio?: ('ignore' | 'pipe' | 'ipc' | 'inherit' | number)[];
}

let serial = 0;

/** The master's line that all workers are ready. */
const READY = /\[master\] .*(?:started|ready|listening) on /;

/** Runs the command line as a user does, to its end. */
export function run(
  args: string[], options: { env?: NodeJS.ProcessEnv; cwd?: string; deadline?: number; execArgv?: string[]; input?: string } = {},
): Promise<RunResult> {
  const started = performance.now();
  const child = spawn(node, [...(options.execArgv ?? []), bin, ...args], {
    env: options.env ?? process.env, cwd: options.cwd ?? root, stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`framework ${args.join(' ')} did not end\n${stdout}${stderr}`));
    }, options.deadline ?? 20_000);
    child.on('error', reject);
    // 'exit', not 'close': a daemon may keep its parent's pipes open.
    child.on('exit', (code, signal) => setTimeout(() => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr, took: performance.now() - started });
    }, 20));
  });
}

/** Starts `framework start <target>` as a real process; it and everything below it is gone at the end of the test. */
export async function startCluster(scope: Scope, target: string, options: ClusterOptions = {}): Promise<TestCluster> {
  const port = options.port === undefined ? await freePort() : options.port;
  const cluster = new TestCluster(target, port === false ? 0 : port, options);
  scope.after(() => cluster.dispose());
  if (options.ready !== false) await cluster.waitFor(READY, options.deadline ?? 15_000);
  return cluster;
}

export class TestCluster {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly port: number;
  readonly target: string;
  readonly title: string | undefined;
  /** Everything inherits it, so that every descendant can be found, whatever became of its parent. */
  readonly marker = `ht-${process.pid}-${Date.now().toString(36)}-${serial++}`;
  /** Stands for the directories where sockets and records go: empty again at the end. */
  readonly tmp: string;
  readonly env: NodeJS.ProcessEnv;
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null; at: number }>;
  /** stdout and stderr together, as they came. */
  output = '';
  stdout = '';
  stderr = '';
  exited = false;
  #watchers = new Set<() => void>();

  constructor(target: string, port: number, options: ClusterOptions) {
    this.target = path.isAbsolute(target) ? target : fixture(target);
    this.port = port;
    this.title = options.title === false ? undefined : options.title ?? `t-${process.pid}-${serial}`;
    this.tmp = mkdtempSync(path.join(os.tmpdir(), 'ht-'));
    this.env = {
      ...process.env, NODE_ENV: undefined, FORCE_COLOR: undefined, NO_COLOR: '1',
      HOME: this.tmp, XDG_RUNTIME_DIR: this.tmp, TMPDIR: this.tmp, HATCHERY_TEST: this.marker, ...options.env,
    };
    const flags = [...(port ? ['--port', String(port)] : []), ...(this.title ? ['--title', this.title] : []), ...(options.flags ?? [])];
    const runtime = [...options.within ?? [], options.node ?? node, ...(options.execArgv ?? [])];
    const words = [...runtime, bin, options.command ?? 'start', this.target, ...flags];
    const limits = [
      ...(options.descriptors === undefined ? [] : [`ulimit -n ${options.descriptors}`]),
      ...(options.groups ?? []).map((dir) => `echo $$ > ${dir}/cgroup.procs`),
    ];
    const limited = limits.length === 0 ? [] : ['/bin/sh', '-c', `${limits.join('; ')}; exec "$@"`, 'sh'];
    const [file = node, ...args] = [...limited, ...words];
    this.process = spawn(file, args, {
      cwd: options.cwd ?? root, env: this.env, detached: true, stdio: options.stdio ?? ['ignore', 'pipe', 'pipe'],
    });
    this.pid = this.process.pid as number;
    const collect = (stream: 'stdout' | 'stderr') => this.process[stream]?.setEncoding('utf8').on('data', (text: string) => {
      this[stream] += text;
      this.output += text;
      this.#wake();
    });
    collect('stdout');
    collect('stderr');
    this.exit = new Promise((resolve) => {
      this.process.on('exit', (code, signal) => {
        this.exited = true;
        resolve({ code, signal, at: performance.now() });
        setTimeout(() => this.#wake(), 50);
      });
    });
  }

  get url(): string { return `http://127.0.0.1:${this.port}`; }

  /** Resolves when the output matches, or the predicate holds; rejects with the output at the deadline (ms) or at an exit. */
  waitFor(what: RegExp | (() => boolean), deadline = 10_000, from = 0): Promise<RegExpExecArray> {
    const test = what instanceof RegExp
      ? () => new RegExp(what.source, what.flags.replace('g', '')).exec(this.output.slice(from))
      : () => what() ? [''] as unknown as RegExpExecArray : null;
    return new Promise((resolve, reject) => {
      const finish = (result: RegExpExecArray | null, failure?: string) => {
        clearTimeout(timer);
        clearInterval(poll);
        this.#watchers.delete(check);
        if (result) resolve(result);
        else reject(new Error(`${failure}: ${String(what)}\n--- output\n${this.output}`));
      };
      const check = () => {
        const result = test();
        if (result) finish(result);
        else if (this.exited && what instanceof RegExp) finish(null, 'the process ended before');
      };
      const timer = setTimeout(() => finish(null, `not within ${deadline} ms`), deadline);
      const poll = setInterval(check, what instanceof RegExp ? 1000 : 20);
      this.#watchers.add(check);
      check();
    });
  }

  /** A command against this instance: `cluster.run('reload')`. */
  run(command: string, args: string[] = [], deadline?: number): Promise<RunResult> {
    const target = command === 'scale' ? [...args, this.target] : [this.target, ...args];
    return run([command, ...target, ...(this.title ? ['--title', this.title] : [])], { env: this.env, deadline });
  }

  async status(): Promise<FilledStatus> {
    const { stdout, stderr, code } = await this.run('status', ['--json']);
    try {
      return JSON.parse(stdout) as FilledStatus;
    } catch {
      throw new Error(`status answered ${code}: ${stdout}${stderr}\n--- output\n${this.output}`);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.process.kill(name);
  }

  /** SIGTERM, and the exit within `deadline` ms. */
  async stop(deadline = 10_000): Promise<{ code: number | null; signal: NodeJS.Signals | null; at: number }> {
    this.signal('SIGTERM');
    return this.ended(deadline);
  }

  /** The exit of the master within `deadline` ms. */
  async ended(deadline = 10_000): Promise<{ code: number | null; signal: NodeJS.Signals | null; at: number }> {
    await this.waitFor(() => this.exited, deadline);
    return this.exit;
  }

  /** Every live process of this instance (Linux): the master, its children, theirs. */
  processes(): { pid: number; command: string }[] {
    return marked(this.marker);
  }

  /** Live worker processes, draining ones too, by their titles (Linux). */
  workerPids(): number[] {
    return this.processes().filter(({ command }) => /: worker#\d+$/.test(command)).map(({ pid }) => pid);
  }

  /** Sockets and records left in the directories made for this instance, to be empty after an exit. */
  files(): string[] {
    return existsSync(this.tmp) ? listFiles(this.tmp).filter((file) => !/hatchery-code-|node-compile-cache|tsx-/.test(file)) : [];
  }

  /** Throws if a process or a socket file outlives the instance by more than `deadline` ms. */
  async assertNothingLeft(deadline = 2_000): Promise<void> {
    await this.waitFor(() => this.processes().length === 0 && this.files().length === 0, deadline).catch(() => {
      throw new Error(`left behind: ${JSON.stringify({ processes: this.processes(), files: this.files() })}\n--- output\n${this.output}`);
    });
  }

  async dispose(): Promise<void> {
    for (let round = 0; round < 20; round++) {
      const left = this.processes();
      if (!this.exited) this.process.kill('SIGKILL');
      for (const { pid } of left) kill(pid);
      if (this.exited && left.length === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    rmSync(this.tmp, { recursive: true, force: true });
  }

  #wake(): void {
    for (const check of [...this.#watchers]) check();
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone by itself
  }
}

function marked(marker: string): { pid: number; command: string }[] {
  if (process.platform !== 'linux') return [];
  const found: { pid: number; command: string }[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (!readFileSync(`/proc/${name}/environ`, 'latin1').includes(`HATCHERY_TEST=${marker}\0`)) continue;
      if (/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${name}/stat`, 'latin1'))) continue;
      found.push({ pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ').trim() });
    } catch {
      // ended while we looked, or another user's
    }
  }
  return found;
}

function listFiles(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(dir, entry.name);
    return entry.isDirectory() ? listFiles(file) : [file];
  });
}

/** A port nobody listens on at the moment. */
export const freePort = (): Promise<number> => freePortRow(1);

/**
 * The first of `count` ports in a row that nobody listens on: below those that the system gives to connections going out,
 * as one of them could be taken a moment later.
 */
export async function freePortRow(count: number): Promise<number> {
  for (;;) {
    const base = 12_000 + Math.floor(Math.random() * 18_000);
    const servers = await Promise.all(Array.from({ length: count }, (_, at) => tryListen(base + at)));
    await Promise.all(servers.map((server) => new Promise((resolve) => { if (server) server.close(resolve); else resolve(null); })));
    if (servers.every(Boolean)) return base;
  }
}

const tryListen = (port: number): Promise<Server | null> => new Promise((resolve) => {
  const server = createServer().once('error', () => resolve(null));
  server.listen(port, '127.0.0.1', () => resolve(server));
});

/** Open descriptors of a process (Linux). */
export const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Resident memory of a process in bytes (Linux). */
export const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
