import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import net, { type Socket } from 'node:net';
import path from 'node:path';
import type { Status } from '../../lib/api/control.js';
import { descriptors, fixture, freePort, residentBytes, startCluster, type Scope, type TestCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { heapOf, type Grown, type Heap } from '../helpers/heap-growth.js';
import { get } from '../helpers/http-get.js';
import { answering, ownApp } from '../helpers/own-app.js';
import { withConfig } from '../helpers/with-config.js';

export interface FlatOptions {
  workers: number;
  /** Connections that are open and ask for nothing. */
  connections: number;
  /** How often each deed is done between two looks; those that are left out are not done. */
  times: Partial<Record<Deed, number>>;
  /** Further keys of the configuration. */
  config?: Record<string, unknown>;
  /** Processes of workers beside those of slots. */
  spares?: number;
}

/** KiB that the master's heap may have grown by in all, beside what its code has been compiled to meanwhile. */
const MOST = 256;
/** What is remembered of the last of something is full by then. */
const WARM = 5;
/**
 * Milliseconds in which what belongs to a moment is gone, such as a timer of a worker that has ended; and in which as much is kept of a
 * worker that is new as of any other: health-check has its last five samples, one a second, each with a list.
 */
const MOMENT = 6_000;
/** Names of what there is more of, at most. */
const SHOWN = 10;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What is done over and over, each so often that one thing more each time is seen. */
const deeds = {
  async reloads({ order, workers }: Doing) { await order(`/reload`, 20_000 + workers * 2_000); },
  /** The app does not load. */
  async 'failed reloads'({ order, broken }: Doing) {
    writeFileSync(broken, '');
    await assert.rejects(order('/reload', 60_000), /broken on purpose/).finally(() => rmSync(broken));
  },
  async kills({ status, cluster }: Doing) {
    const { workers } = await status();
    const victims = workers.filter((_, at) => at % 4 === 0).map(({ pid }) => pid!);
    for (const pid of victims) process.kill(pid, 'SIGKILL');
    await cluster.waitFor(() => cluster.exited || victims.every((pid) => cluster.output.includes(`${pid}`)), 20_000);
    await eventually(async () => (await status()).workers.every(({ pid, state }) => state === 'ready' && !victims.includes(pid!)), 60_000);
  },
  async scales({ order, workers }: Doing) {
    await order(`/scale?to=${workers + 2}`, 60_000);
    await order(`/scale?to=${workers}`, 60_000);
  },
  async requests({ cluster, control, metrics }: Doing) {
    await Promise.all([
      get('http://control/status', { socketPath: control }),
      get(`http://127.0.0.1:${metrics}/metrics`),
      get(`http://127.0.0.1:${metrics}/readyz`),
      get(cluster.url),
    ]);
  },
  async 'logs opened anew'({ cluster }: Doing) {
    const from = cluster.output.length;
    cluster.signal('SIGUSR1');
    await cluster.waitFor(/receive signal SIGUSR1/, 10_000, from);
  },
};

export type Deed = keyof typeof deeds;

interface Doing {
  cluster: TestCluster;
  workers: number;
  control: string;
  metrics: number;
  /** While this file is there the app does not load. */
  broken: string;
  status(): Promise<Status>;
  /** Rejects where the answer is an error. */
  order(path: string, deadline: number): Promise<void>;
}

/** Each has had an answer, so that a worker has it. */
async function idle(port: number, count: number): Promise<Socket[]> {
  const open = async (): Promise<Socket> => {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nhost: flat\r\n\r\n');
    await once(socket, 'data');
    return socket.resume();
  };
  const sockets: Socket[] = [];
  while (sockets.length < count) sockets.push(...await Promise.all(Array.from({ length: Math.min(100, count - sockets.length) }, open)));
  return sockets;
}

const gone = async (sockets: readonly Socket[]): Promise<void> => {
  await Promise.all(sockets.filter(({ closed }) => !closed).map((socket) => once(socket, 'close')));
};

const told = ({ what, more, bytes, held }: Grown): string => `${what} +${more} (${bytes} bytes; ${held})`;
const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

/**
 * What a master is asked for again and again leaves nothing behind. Of what there is one more for every other time of a deed, and
 * again in a second lot of them, the comparison of two heap snapshots says the name, and where it is held. What comes once, as a
 * list has room for twice as much or something is done for the first time, does not come twice.
 */
class Looks {
  readonly lines: string[] = [];
  readonly #doing: Doing;
  readonly #file: string;
  readonly #processes: number;
  #last!: Heap;

  constructor(doing: Doing, file: string, spares: number) {
    this.#doing = doing;
    this.#file = file;
    this.#processes = doing.workers + spares;
  }

  async look(): Promise<Heap> {
    const { cluster } = this.#doing;
    // What the master has of a worker goes with the worker's process.
    await eventually(() => pause(250).then(() => processesOf(cluster) === this.#processes), 120_000);
    await pause(MOMENT);
    return this.#last = await heapOf(cluster, this.#file);
  }

  /** Does something so many times, and says what there is more of for each time. */
  async after(name: string, times: number, run: () => Promise<unknown>): Promise<void> {
    const least = Math.ceil(times / 2);
    const started = performance.now();
    let once: Grown[] = [];
    let named: Grown[] = [];
    for (let lot = 0; lot < 2; lot++) {
      const before = this.#last;
      await run();
      const more = (await this.look()).grownSince(before, least);
      if (lot === 0) once = more;
      named = lot === 0 ? more : more.filter(({ what }) => named.some((one) => one.what === what));
      if (named.length === 0) break;
    }
    const { cluster: { pid } } = this.#doing;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    this.lines.push(`${times} ${name} (${seconds} s): heap ${this.#last.kib} KiB, RSS ${mib(residentBytes(pid))} MiB, `
      + `${descriptors(pid)} descriptors${once.slice(0, SHOWN).map((one) => `\n  once ${told(one)}`).join('')}`);
    const names = named.slice(0, SHOWN).map((one) => `  ${told(one)}`);
    assert.ok(named.length === 0, `held for each of ${times} ${name}:\n${names.join('\n')}\n${this.lines.join('\n')}`);
  }
}

/** Of workers, with what stands by. */
const processesOf = (cluster: TestCluster): number =>
  cluster.processes().filter(({ command }) => /: (?:worker#\d+|standby)$/.test(command)).length;

export async function flat(scope: Scope, { workers, connections, times, config = {}, spares = 0 }: FlatOptions): Promise<string> {
  const app = ownApp(scope, {
    'server.js': `if (require('node:fs').existsSync(require('node:path').join(__dirname, 'broken'))) throw new Error('broken on purpose');
${answering('flat')}`,
  });
  const metrics = await freePort();
  const cluster = await startCluster(scope, app.dir, {
    flags: ['--config', withConfig(scope, {
      workers, ...config,
      // Deaths are remembered for so long.
      refork: { limit: 1_000_000, duration: 1_000, maxDelay: 1 },
      reload: { batch: Math.ceil(workers / 2) },
      plugins: { [fixture('plugins/heap-snapshot.mjs')]: true, 'health-check': { port: metrics }, ...config.plugins as object },
    })],
    env: { HEAP_SNAPSHOT: path.join(app.dir, 'master.heapsnapshot') },
    deadline: 120_000,
  });
  const control = cluster.files().find((file) => file.endsWith('.sock'))!;
  const doing: Doing = {
    cluster, workers, control, metrics, broken: path.join(app.dir, 'broken'),
    status: async () => (await get('http://control/status', { socketPath: control })).json as unknown as Status,
    order: async (where, deadline) => {
      const { text } = await get(`http://control${where}`, { method: 'POST', socketPath: control, deadline });
      const { error } = JSON.parse(text.trim().split('\n').at(-1)!) as { error?: { message: string } };
      if (error) throw new Error(error.message);
    },
  };
  const looks = new Looks(doing, path.join(app.dir, 'master.heapsnapshot'), spares);
  const todo = Object.entries(times) as [Deed, number][];
  for (const [deed] of todo) for (let time = 0; time < WARM; time++) await deeds[deed](doing);
  const sockets = await idle(cluster.port, connections);
  for (const socket of sockets) socket.destroy();
  await gone(sockets);
  const start = await looks.look();
  const opened = descriptors(cluster.pid);
  const open: Socket[] = [];
  await looks.after('idle connections that stay', connections, async () => { open.push(...await idle(cluster.port, connections)); });
  for (const [deed, count] of todo) {
    await looks.after(deed, count, async () => { for (let time = 0; time < count; time++) await deeds[deed](doing); });
  }
  for (const socket of open) socket.destroy();
  const end = await looks.look();
  const report = `${workers} workers: the master's heap ${start.kib} KiB, at the end ${end.kib}\n${looks.lines.join('\n')}`;
  assert.ok(end.kib <= start.kib + MOST, report);
  // Some are open for a moment, at either look.
  assert.ok(descriptors(cluster.pid) <= opened + 8, report);
  assert.equal((await cluster.stop(60_000)).code, 0);
  await cluster.assertNothingLeft();
  return report;
}
