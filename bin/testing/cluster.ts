import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ReloadResult, Status } from '../../lib/api/control.js';
import type { ProfileInput } from '../../lib/config/schema.js';
import { ClusterError } from '../../lib/kit/errors.js';
import { isObject, misuse, nearest, show } from '../../lib/kit/misuse.js';
import { built } from '../../lib/kit/package.js';
import { connect, type ControlClient } from '../client.js';
import { eventually } from './waiting.js';

/** What is to run, and how. All of it has a default. */
export interface TestClusterOptions {
  /** App directory or entry file, with its own configuration. Default: an app of its own in a temporary directory. */
  target?: string;
  /**
   * Files of that app, by name: `{ 'app.js': '...' }`. Without one it is a server that answers each request with its slot and
   * pid as JSON. Packages are found as from the working directory.
   */
  files?: Readonly<Record<string, string>>;
  /**
   * Configuration, as a file would have it. With `target` it takes the place of the app's file, which it may name in `extends`.
   * A plugin is named by its package, by a path from the working directory, or by `new URL('./index.js', import.meta.url).href`.
   */
  config?: ProfileInput & { extends?: string };
  /** Default: 1. */
  workers?: number;
  /** `dev`: as `framework dev`. Default: `start`. */
  command?: 'start' | 'dev';
  /** Further words of the command line. */
  flags?: readonly string[];
  /** Added to the environment; undefined removes. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds until all are ready, and again for the end. Default: 30,000. */
  timeout?: number;
}

const FIELDS: readonly string[] = ['target', 'files', 'config', 'workers', 'command', 'flags', 'env', 'timeout'];
const TIMEOUT = 30_000;
/** Characters of its output that are kept. */
const OUTPUT = 4 * 1024 * 1024;

/** Answers with what it is. */
const APP = `export default (request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ slot: Number(process.env.CLUSTER_SLOT), pid: process.pid }));
};
`;

let serial = 0;

/**
 * A cluster for a test: the command line of this package in a process of its own, on a free port, and so from any test runner,
 * worker threads included. Whatever becomes of the test's process, none of it is left behind.
 */
export class TestCluster {
  /** `http://127.0.0.1:43117`. */
  readonly address: string;
  readonly port: number;
  /** The master's. */
  readonly pid: number;
  /** Its name among running instances. */
  readonly title: string;
  /** Directory of the app. */
  readonly dir: string;
  /** The running instance, as `framework status`, `reload` and others speak to it. */
  readonly control: ControlClient;
  readonly #run: Run;

  constructor(run: Run, control: ControlClient, address: string) {
    this.#run = run;
    this.control = control;
    this.address = address;
    this.port = Number(new URL(address).port);
    this.pid = run.process.pid as number;
    this.title = run.title;
    this.dir = run.dir;
  }

  /** All that master, agent and workers have printed. */
  get output(): string { return this.#run.output; }

  /** Resolves when the master has ended. */
  get exited(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> { return this.#run.exited; }

  /** A request to the app, on a connection of its own: `await cluster.fetch('/path')`. */
  fetch(place = '/', init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set('connection', 'close');
    return fetch(new URL(place, this.address), { ...init, headers });
  }

  status(): Promise<Status> { return this.control.status(); }

  /** Replaces all workers, then the agent; resolves when it is done. Rejects as `framework reload` fails. */
  reload(): Promise<ReloadResult> { return this.control.reload(); }

  /** Changes the number of workers: `3`, `"+1"`, `"-1"`; resolves when it is done. */
  scale(to: number | string): Promise<{ from: number; to: number }> { return this.control.scale(to); }

  /** Sends a signal to the worker of a slot, or the agent; resolves with its pid. */
  async signal(slot: number | 'agent', signal: NodeJS.Signals): Promise<number> {
    const { workers, agent } = await this.status();
    const pid = slot === 'agent' ? agent?.pid : workers.find((worker) => worker.slot === slot && worker.state === 'ready')?.pid;
    const whom = slot === 'agent' ? 'agent' : `ready worker of slot ${slot}`;
    if (!pid) throw new ClusterError('ERR_CLUSTER_USAGE', `signal: there is no ${whom}`);
    process.kill(pid, signal);
    return pid;
  }

  /** Waits for a line of the output, past ones included; resolves with it. Rejects after `timeout` ms with all that was printed. */
  line(pattern: RegExp | string, timeout = TIMEOUT): Promise<string> {
    return this.#run.line(pattern, timeout);
  }

  /** Waits until the status is as wanted; resolves with it. */
  until(wanted: (status: Status) => boolean, timeout = TIMEOUT): Promise<Status> {
    return eventually(async () => {
      const status = await this.status();
      return wanted(status) ? status : null;
    }, { timeout, what: String(wanted) });
  }

  /** Ends it as SIGTERM does, by force after `timeout`; resolves with its exit code. Nothing of it is there afterwards. Idempotent. */
  stop(): Promise<number | null> { return this.#run.end(); }

  /** For `await using`. */
  async [Symbol.asyncDispose](): Promise<void> { await this.stop(); }
}

/**
 * Starts a cluster for a test; resolves when all are ready. `stop` it at the end.
 * @throws ClusterError ERR_CLUSTER_USAGE, _START, _START_TIMEOUT: with all that was printed
 */
export async function startTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  check(options);
  const { timeout = TIMEOUT } = options;
  const run = new Run(options, timeout);
  try {
    await run.ready;
    const control = await connect(run.target, { title: run.title });
    const { address } = await control.status();
    return new TestCluster(run, control, address ?? 'http://127.0.0.1:0');
  } catch (error) {
    await run.end();
    throw error;
  }
}

function check(options: TestClusterOptions): void {
  if (!isObject(options)) throw misuse(startTestCluster, 'an object of options', options);
  const unknown = Object.keys(options).find((key) => !FIELDS.includes(key));
  if (unknown !== undefined) {
    const near = nearest(unknown, FIELDS);
    throw misuse(startTestCluster, `options ${FIELDS.join(', ')}${near ? ` (did you mean "${near}"?)` : ''}`, unknown);
  }
  if (options.target !== undefined && options.files !== undefined) throw misuse(startTestCluster, '`target` or `files`', 'both');
}

/** The process of a master, and what was written for it. */
class Run {
  readonly process: ChildProcess;
  readonly title = `test-${process.pid}-${Date.now().toString(36)}-${serial++}`;
  readonly target: string;
  readonly dir: string;
  readonly ready: Promise<void>;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  output = '';
  readonly #own: string;
  readonly #timeout: number;
  readonly #guard: ChildProcess | null;
  readonly #watchers = new Set<() => void>();
  #ended: Promise<number | null> | undefined;

  constructor(options: TestClusterOptions, timeout: number) {
    this.#timeout = timeout;
    this.#own = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'hatchery-test-')));
    this.target = path.resolve(options.target ?? writeApp(this.#own, options.files));
    this.dir = existsSync(this.target) && path.extname(this.target) === '' ? this.target : path.dirname(this.target);
    const words = [
      options.command ?? 'start', this.target, '--title', this.title, '--port', '0', '--host', '127.0.0.1',
      '--workers', String(options.workers ?? 1), ...writeConfig(this.#own, options.config), ...options.flags ?? [],
    ];
    const env = { ...process.env, NODE_ENV: undefined, NO_COLOR: '1', FORCE_COLOR: undefined, NODE_OPTIONS: undefined, ...options.env };
    this.process = spawn(process.execPath, [built('bin/framework.js'), ...words], { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output = (this.output + text).slice(-OUTPUT);
        for (const look of this.#watchers) look();
      });
    }
    this.exited = once(this.process, 'close').then(([code, signal]) => ({ code, signal }) as Awaited<typeof this.exited>);
    this.#guard = guard(this.process.pid);
    this.ready = this.#becomesReady();
    this.ready.catch(() => {});
  }

  #becomesReady(): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (code: 'ERR_CLUSTER_START' | 'ERR_CLUSTER_START_TIMEOUT', what: string): void => {
        reject(new ClusterError(code, `startTestCluster: ${what}`, { detail: this.output }));
      };
      const timer = setTimeout(() => fail('ERR_CLUSTER_START_TIMEOUT', `not ready within ${this.#timeout} ms`), this.#timeout);
      this.process.on('message', (message) => {
        if ((message as { action?: unknown }).action !== 'cluster-ready') return;
        clearTimeout(timer);
        resolve();
      });
      this.process.on('error', reject);
      void this.exited.then(({ code, signal }) => {
        clearTimeout(timer);
        fail('ERR_CLUSTER_START', `the master ended with ${signal ?? code}\n${this.output.trim()}`);
      });
    });
  }

  line(pattern: RegExp | string, timeout: number): Promise<string> {
    const found = (): string | undefined => this.output.split('\n')
      .find((line) => typeof pattern === 'string' ? line.includes(pattern) : line.search(pattern) !== -1);
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
      };
      const look = (): void => {
        const line = found();
        if (line === undefined) return;
        done();
        resolve(line);
      };
      const give = (why: string): void => {
        done();
        reject(new Error(`no line ${show(String(pattern))} ${why}; the output:\n${this.output}`));
      };
      const timer = setTimeout(() => give(`within ${timeout} ms`), timeout);
      this.#watchers.add(look);
      void this.exited.then(() => { look(); give('before the end'); });
      look();
    });
  }

  end(): Promise<number | null> {
    return this.#ended ??= this.#end();
  }

  async #end(): Promise<number | null> {
    const { process: master } = this;
    const timer = setTimeout(() => master.kill('SIGKILL'), this.#timeout);
    if (master.exitCode === null && master.signalCode === null) master.kill('SIGTERM');
    const { code } = await this.exited;
    clearTimeout(timer);
    this.#guard?.kill('SIGKILL');
    rmSync(this.#own, { recursive: true, force: true, maxRetries: 3 });
    return code;
  }
}

/**
 * Ends the master when this process is gone, or the thread that started it, however that ended: then nobody holds the other end
 * of its input any more. SIGTERM, so that it ends its children.
 */
function guard(pid: number | undefined): ChildProcess | null {
  if (pid === undefined || process.platform === 'win32') return null;
  const shell = spawn('/bin/sh', ['-c', `cat; kill -TERM ${pid}`], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  shell.on('error', () => {});
  shell.unref();
  (shell.stdin as unknown as { unref?(): void } | null)?.unref?.();
  return shell;
}

function writeApp(own: string, files: Readonly<Record<string, string>> = {}): string {
  const dir = path.join(own, 'app');
  const without = Object.keys(files).length === 0;
  const all = { 'package.json': '{ "name": "test-app", "type": "module" }\n', ...without ? { 'app.js': APP } : {}, ...files };
  for (const [name, text] of Object.entries(all)) {
    const file = path.join(dir, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const packages = nearestPackages();
  const link = path.join(dir, 'node_modules');
  if (packages !== undefined && !existsSync(link)) symlinkSync(packages, link, 'junction');
  return dir;
}

/** The folder of packages that the working directory's modules have. */
function nearestPackages(): string | undefined {
  for (let dir = process.cwd(); ; dir = path.dirname(dir)) {
    const folder = path.join(dir, 'node_modules');
    if (existsSync(folder)) return folder;
    if (path.dirname(dir) === dir) return undefined;
  }
}

/** Keys of the configuration whose values are files. */
const PATHS: readonly string[] = ['extends', 'app', 'agent', 'framework'];

function writeConfig(own: string, config: TestClusterOptions['config']): string[] {
  if (config === undefined) return [];
  const plugins = isObject(config.plugins) ? Object.entries(config.plugins).map(([name, value]) => [located(name), value]) : undefined;
  const paths = PATHS.flatMap((key) => {
    const value = (config as Record<string, unknown>)[key];
    return typeof value === 'string' ? [[key, located(value)]] : [];
  });
  const all = { ...config, ...Object.fromEntries(paths) as object, ...plugins ? { plugins: Object.fromEntries(plugins) as object } : {} };
  const file = path.join(own, 'cluster.json');
  writeFileSync(file, JSON.stringify(all, (key, value: unknown) => {
    if (typeof value === 'function') throw misuse(startTestCluster, `data as config: "${key}" goes to another process`, value);
    return value;
  }, 2));
  return ['--config', file];
}

const located = (name: string): string =>
  name.startsWith('file:') ? fileURLToPath(name) : /^\.{1,2}[\\/]/.test(name) ? path.resolve(name) : name;
