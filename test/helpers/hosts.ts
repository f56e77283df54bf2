import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { startCluster, freePort, type ClusterOptions, type Scope, type TestCluster } from './cluster.js';
import { eventually } from './eventually.js';
import { get } from './http-get.js';
import { missing } from './skips.js';
import { withConfig } from './with-config.js';

/** Why tests with a real Redis are skipped; false: they are not. */
export const noRedis: string | false = spawnSync('redis-server', ['--version']).status === 0 ? false : missing.redis;

/** A real redis-server, that keeps nothing on disk unless told: killed, it has lost all. */
export class TestRedis {
  readonly port: number;
  readonly dir: string;
  readonly #flags: readonly string[];
  readonly #password: string;
  #process!: ChildProcess;

  private constructor(port: number, dir: string, password: string, flags: readonly string[]) {
    this.port = port;
    this.dir = dir;
    this.#password = password;
    this.#flags = flags;
  }

  static async start(
    scope: Scope, { password = '', bind = '127.0.0.1', flags = [] }: { password?: string; bind?: string; flags?: string[] } = {},
  ): Promise<TestRedis> {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'hr-'));
    const redis = new TestRedis(await freePort(), dir, password, [
      '--bind', bind, ...(password === '' ? [] : ['--requirepass', password]), ...flags,
    ]);
    scope.after(async () => {
      await redis.kill();
      rmSync(dir, { recursive: true, force: true });
    });
    await redis.start();
    return redis;
  }

  /** The nodes of a Redis Cluster on this machine, masters all. */
  static async cluster(scope: Scope, nodes: number): Promise<TestRedis[]> {
    const all = await Promise.all(Array.from({ length: nodes }, async () =>
      await TestRedis.start(scope, { flags: ['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())] })));
    const [first] = all as [TestRedis];
    const made = first.ask('--cluster', 'create', ...all.map(({ port }) => `127.0.0.1:${port}`), '--cluster-yes');
    if (!made.includes('All 16384 slots covered')) throw new Error(made);
    await eventually(() => all.every((one) => one.ask('CLUSTER', 'INFO').includes('cluster_state:ok')));
    return all;
  }

  get url(): string { return `redis://127.0.0.1:${this.port}`; }

  async start(): Promise<void> {
    const flags = ['--port', String(this.port), '--dir', this.dir, '--save', '', '--protected-mode', 'no', ...this.#flags];
    this.#process = spawn('redis-server', flags, { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise<void>((resolve, reject) => {
      let text = '';
      this.#process.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (/Ready to accept connections/.test(text)) resolve();
      });
      this.#process.once('exit', () => reject(new Error(`redis-server has ended\n${text}`)));
    });
  }

  async kill(): Promise<void> {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    await gone;
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process.kill(name);
  }

  /** Redis's answer to one command, as redis-cli prints it. */
  ask(...words: string[]): string {
    const env = this.#password === '' ? process.env : { ...process.env, REDISCLI_AUTH: this.#password };
    return spawnSync('redis-cli', ['-p', String(this.port), ...words], { encoding: 'utf8', env }).stdout.trim();
  }
}

/** The way of one host to Redis; while it is cut, nothing comes through either way, and nobody is told. */
export class Way {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #cut = false;

  private constructor(to: number) {
    this.#server = net.createServer((socket) => {
      const there = net.connect(to, '127.0.0.1');
      for (const one of [socket, there]) {
        this.#sockets.add(one);
        one.on('error', () => {});
        one.on('close', () => {
          this.#sockets.delete(one);
          socket.destroy();
          there.destroy();
        });
      }
      const pass = (from: net.Socket, target: net.Socket) => from.on('data', (chunk) => target.write(chunk));
      pass(socket, there);
      pass(there, socket);
      if (this.#cut) for (const one of [socket, there]) one.pause();
    });
  }

  static async open(scope: Scope, to: number): Promise<Way & { port: number }> {
    const way = new Way(to);
    await new Promise<void>((resolve) => { way.#server.listen(0, '127.0.0.1', resolve); });
    scope.after(() => {
      way.#server.close();
      for (const socket of way.#sockets) socket.destroy();
    });
    return Object.assign(way, { port: (way.#server.address() as net.AddressInfo).port });
  }

  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  heal(): void {
    this.#cut = false;
    for (const socket of this.#sockets) socket.resume();
  }
}

interface Written { token: number; at: number; pid: number }

/** What leaders write to: it keeps the highest token that it has seen, and refuses those below. */
export class FencedStore {
  readonly socket: string;
  readonly all: Written[] = [];
  refused = 0;
  #highest = 0;

  private constructor(dir: string) {
    this.socket = path.join(dir, 'store');
  }

  static async open(scope: Scope): Promise<FencedStore> {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'hf-'));
    const store = new FencedStore(dir);
    const server = http.createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; }).on('end', () => {
        store.#take(JSON.parse(text) as Written);
        response.end();
      });
    });
    await new Promise<void>((resolve) => { server.listen(store.socket, resolve); });
    scope.after(() => {
      server.close();
      server.closeAllConnections();
      rmSync(dir, { recursive: true, force: true });
    });
    return store;
  }

  /** Each leader's time, from the first moment to the last at which it has said that it leads. */
  get reigns(): { token: number; from: number; to: number; pid: number }[] {
    const all = new Map<number, { token: number; from: number; to: number; pid: number }>();
    for (const { token, at, pid } of this.all) {
      const reign = all.get(token) ?? { token, from: at, to: at, pid };
      if (reign.pid !== pid) throw new Error(`two processes have the token ${token}: ${reign.pid} and ${pid}`);
      all.set(token, { ...reign, from: Math.min(reign.from, at), to: Math.max(reign.to, at) });
    }
    return [...all.values()].sort((a, b) => a.token - b.token);
  }

  /** Throws where two have said at one time that they lead, or a later one has a lower token. */
  assertOneAtATime(): void {
    const { reigns } = this;
    for (const [at, { token, from }] of reigns.entries()) {
      const before = reigns[at - 1];
      if (before && before.to >= from) throw new Error(`${before.token} led until ${before.to}, and ${token} from ${from} on`);
    }
  }

  #take(one: Written): void {
    this.all.push(one);
    if (one.token < this.#highest) this.refused++;
    this.#highest = Math.max(this.#highest, one.token);
  }
}

export interface Heard { data: unknown; id: string; host?: string; trace?: string }

/** One "host": an instance with a home of its own, of fixtures/hosts. */
export class Host {
  /** Where its site is asked. */
  readonly url: string;

  constructor(readonly name: string, readonly cluster: TestCluster, address = '127.0.0.1') {
    this.url = `http://${address}:${cluster.port}`;
  }

  /** Asks the worker of a slot; connections reach any. */
  async on<Result>(slot: number, verb: string, ...args: unknown[]): Promise<Result> {
    for (const began = performance.now(); performance.now() - began < 10_000;) {
      const { json } = await get(this.url, { method: 'POST', body: JSON.stringify({ slot, verb, args }) });
      if (json.slot !== slot) continue;
      if (json.error) throw Object.assign(new Error(), json.error);
      return json.result as Result;
    }
    throw new Error(`worker ${slot} of ${this.name} does not answer\n${this.cluster.output}`);
  }

  heard(slot: number): Promise<Heard[]> {
    return this.on<Heard[]>(slot, 'heard');
  }
}

export interface HostOptions extends ClusterOptions {
  name: string;
  url: string;
  ttl?: number;
  /** Its own, where it has one. */
  address?: string;
  /** Further options of the plugin, and keys of the configuration. */
  options?: object;
  config?: object;
}

export async function startHost(
  scope: Scope, { name, url, ttl = 1_500, address, config = {}, options: own = {}, ...options }: HostOptions,
): Promise<Host> {
  const file = withConfig(scope, { plugins: { hosts: { url: { env: 'MY_REDIS' }, name, ttl, prefix: 'test', ...own } }, ...config });
  const cluster = await startCluster(scope, 'hosts', {
    // Two files of tests may run beside each other.
    title: `hosts-${process.pid}-${name}`, ...options,
    flags: ['-w', '2', '--config', file, ...options.flags ?? []],
    env: { MY_REDIS: url, ...options.env },
  });
  return new Host(name, cluster, address);
}

/** All text that belongs to the processes of a cluster, as `ps` shows it. */
export const argumentsOf = (cluster: TestCluster): string =>
  cluster.processes().map(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'latin1')).join('\n');
