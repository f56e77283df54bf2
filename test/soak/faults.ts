import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Status } from '../../lib/api/control.js';
import { descriptors, freePort, TestCluster, type Scope } from '../helpers/cluster.js';
import { FaultSwitch, faultyArgv } from '../helpers/faulty.js';
import { get } from '../helpers/http-get.js';
import { Load } from '../helpers/load.js';
import { withConfig } from '../helpers/with-config.js';

const WORKERS = 2;
const CLIENTS = 4;
const CODES = ['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM', 'EACCES', 'ENOENT', 'EIO', 'ENOSPC', 'EPIPE', 'ESRCH', 'EPERM'] as const;

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

/** A daemon, but for its launcher: its lines go to a file, its control socket is spoken to without a command. */
class Faulted {
  readonly cluster: TestCluster;
  readonly health: number;
  readonly log: string;
  faults!: FaultSwitch;

  private constructor(cluster: TestCluster, health: number, log: string) {
    this.cluster = cluster;
    this.health = health;
    this.log = log;
  }

  static async start(scope: Scope): Promise<Faulted> {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'hf-'));
    scope.after(() => rmSync(dir, { recursive: true, force: true }));
    const [port, health] = [await freePort(), await freePort()];
    const file = path.join(dir, 'faults');
    const log = path.join(dir, 'log');
    const config = withConfig(scope, {
      workers: WORKERS, startTimeout: 10_000,
      refork: { limit: 1_000_000, duration: 100, maxDelay: 400 },
      plugins: { 'health-check': { port: health, checkTimeout: 1_000 }, metrics: true },
    });
    const cluster = new TestCluster('faulted', port, {
      flags: ['--config', config], execArgv: faultyArgv,
      env: { FAULTS: file, HATCHERY_DAEMON: JSON.stringify({ log: { out: log, err: log } }) },
    });
    scope.after(() => cluster.dispose());
    const one = new Faulted(cluster, health, log);
    one.faults = await FaultSwitch.to(file);
    await one.settled(30_000);
    return one;
  }

  get text(): string {
    return readFileSync(this.log, 'utf8');
  }

  /** Asks the control socket. */
  async ask(method: string, where: string): Promise<string> {
    const dir = path.join(this.cluster.tmp, '.hatchery');
    const name = readdirSync(dir).find((one) => one.endsWith('.sock'));
    return new Promise((resolve, reject) => {
      const request = http.request({ socketPath: path.join(dir, name ?? 'none'), method, path: where, timeout: 5_000 }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (part: string) => { body += part; }).on('end', () => resolve(body)).on('error', reject);
      });
      request.on('timeout', () => request.destroy(new Error(`${where}: no answer`))).on('error', reject).end();
    });
  }

  async status(): Promise<Status> {
    return JSON.parse(await this.ask('GET', '/status')) as Status;
  }

  /** Sends a signal to a child; resolves when the master has seen its end, or after 10 s. */
  async ends(pid: number, signal: NodeJS.Signals): Promise<void> {
    if (pid <= 0) return;
    process.kill(pid, signal);
    await this.cluster.waitFor(() => new RegExp(`:${pid} .*(?:exited with|was ended by)`).test(this.text)).catch(() => {});
  }

  /** All slots have a worker that is ready, nothing is under way, the agent is there. */
  async settled(limit: number): Promise<Status> {
    const until = performance.now() + limit;
    let last = 'no status';
    for (;;) {
      try {
        const status = await this.status();
        const ready = status.workers.filter(({ state }) => state === 'ready').map(({ slot }) => slot);
        if (status.state === 'running' && new Set(ready).size === WORKERS && ready.length === WORKERS
          && status.workers.length === WORKERS && status.agent?.state === 'ready') return status;
        last = JSON.stringify(status);
      } catch (error) {
        last = String(error);
      }
      if (this.cluster.exited) throw new Error(`the master is gone\n${this.tail()}`);
      if (performance.now() > until) throw new Error(`not settled within ${limit} ms: ${last}\n${this.tail()}`);
      await delay(30);
    }
  }

  tail(lines = 60): string {
    return `${this.text.split('\n').slice(-lines).join('\n')}\n${this.cluster.output}`;
  }
}

/** Talks nonsense to a socket, and is gone. */
async function garbage(where: net.NetConnectOpts, text: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = net.connect(where, () => {
      socket.write(text);
      setTimeout(() => socket.destroy(), 20);
    });
    socket.on('close', () => resolve()).on('error', () => {});
  });
}

type Disturbance = (it: Faulted, pick: () => number) => Promise<unknown>;

const pidOf = async (it: Faulted, pick: () => number): Promise<number> => {
  const { workers } = await it.status();
  return workers[Math.floor(pick() * workers.length)]?.pid ?? 0;
};

/** What goes on while a system function fails. */
const disturbances: Record<string, Disturbance> = {
  kill: async (it, pick) => it.ends(await pidOf(it, pick), 'SIGKILL'),
  term: async (it, pick) => it.ends(await pidOf(it, pick), 'SIGTERM'),
  agent: async (it) => it.ends((await it.status()).agent?.pid ?? 0, 'SIGKILL'),
  async reload(it) { await it.ask('POST', '/reload'); },
  async scale(it) {
    await it.ask('POST', '/scale?to=%2B1').catch(() => {});
    // Its own connection may have been the one that failed.
    for (let tries = 0; tries < 5 && !await it.ask('POST', `/scale?to=${WORKERS}`).catch(() => ''); tries++) await delay(200);
  },
  async hangup(it) {
    it.cluster.signal('SIGHUP');
    await delay(150);
  },
  async status(it) { for (let n = 0; n < 5; n++) await it.status(); },
  async health(it) { for (const route of ['livez', 'readyz', 'metrics', 'status']) await get(`http://127.0.0.1:${it.health}/${route}`); },
  async garbage(it, pick) {
    const dir = path.join(it.cluster.tmp, '.hatchery');
    const socket = readdirSync(dir).find((name) => name.endsWith('.sock')) ?? '';
    const text = pick() < 0.5 ? 'GET /status HTTP/1.1\r\nHost: x\r\n\r\n' : '\0\xff{]GE'.repeat(500);
    await garbage({ path: path.join(dir, socket) }, text);
    await garbage({ port: it.health, host: '127.0.0.1' }, text);
  },
  async messages() { await delay(200); },
};

/** What a process has open, for a person. */
const openFiles = (pid: number): string => readdirSync(`/proc/${pid}/fd`).map((fd) => {
  try {
    return `${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`;
  } catch {
    return fd;
  }
}).join('\n');

/** What a master calls while it starts, and how often at most. */
const AT_START: Record<string, number> = {
  'process.spawn': 4, 'pipe.bind': 2, 'pipe.connect': 2, 'pipe.writev': 4, 'pipe.writeUtf8String': 8, 'pipe.writeBuffer': 8,
  'pipe.readStart': 8, 'tcp.bind6': 2, 'tcp.bind': 1, 'tcp.listen': 3, openSync: 4, readFileSync: 40, writeFileSync: 2, unlinkSync: 2,
  rmSync: 4, mkdirSync: 2, mkdtempSync: 2, lstatSync: 4, statSync: 12, chmodSync: 2, linkSync: 1, readdirSync: 4, realpathSync: 8,
  'process.kill': 2, fork: 1, spawn: 1,
};

/**
 * A system function fails while the master starts: it runs all the same, or it ends within its time, says why, and leaves no process
 * behind.
 */
export async function faultsAtStart({ runs, seed }: { runs: number; seed: number }): Promise<string> {
  const came = { up: 0, refused: 0 };
  for (let run = 0; run < runs; run++) {
    const pick = random(seed + run);
    const among = <T>(list: readonly T[]): T => list[Math.floor(pick() * list.length)] as T;
    const name = among(Object.keys(AT_START));
    const fault = { name, nth: 1 + Math.floor(pick() * AT_START[name]!), code: among(CODES) };
    const cluster = new TestCluster('faulted', await freePort(), {
      flags: ['-w', '2', '--start-timeout', '5000'], execArgv: faultyArgv, env: { FAULTS: 'none', FAULT: JSON.stringify(fault) },
    });
    const what = `start ${run} (seed ${seed + run}): ${name} call ${fault.nth} ${fault.code}`;
    try {
      await cluster.waitFor(() => cluster.exited || /\[master\] .* started on /.test(cluster.output), 15_000);
      if (cluster.exited) {
        came.refused++;
        if (process.env.VERBOSE) console.log(what, cluster.output.split('\n').filter((line) => /injected|E[A-Z]{3,}/.test(line))[0]);
        const { code } = await cluster.exit;
        assert.ok(code === 1 || code === 2, `exit ${code}`);
        // A target that is not there is told in words.
        assert.match(cluster.output, /injected|E[A-Z]{3,}|no such directory or file/, 'it says why');
      } else {
        came.up++;
        assert.equal((await get(`${cluster.url}/x`)).status, 200);
        assert.equal((await cluster.stop()).code, 0);
      }
      await cluster.waitFor(() => cluster.processes().length === 0, 8_000);
    } catch (error) {
      throw new Error(`${what}\n${(error as Error).message}\n${cluster.output}`);
    } finally {
      await cluster.dispose();
    }
  }
  return `${runs} starts with a fault: ${came.up} came up, ${came.refused} said why not`;
}

const count = (text: string, what: RegExp): number => [...text.matchAll(what)].length;

/**
 * A system function of the master fails, as the real one would, at its n-th call, while something else goes on under load; once
 * for each seed. Whatever it is: the master lives, every slot is served again, and lost is at most what killed workers were
 * answering.
 */
export async function injectedFaults(scope: Scope, { runs, seed }: { runs: number; seed: number }): Promise<string> {
  const it = await Faulted.start(scope);
  const clients = { keepAlive: CLIENTS, perConnection: CLIENTS };
  const load = new Load(clients, { http: { port: it.cluster.port }, deadline: 9_000, pause: 5 }, scope);
  const usual: Record<string, Record<string, number>> = {};
  for (const [name, disturb] of Object.entries(disturbances)) {
    await it.faults.turn();
    await disturb(it, random(seed)).catch(() => {});
    await it.settled(30_000);
    usual[name] = (await it.faults.turn()).calls;
  }
  const before = descriptors(it.cluster.pid);
  const fired: Record<string, number> = {};
  let deaths = count(it.text, /was ended by SIG/g);
  for (let run = 0; run < runs; run++) {
    const pick = random(seed + run);
    const among = <T>(list: readonly T[]): T => list[Math.floor(pick() * list.length)] as T;
    const disturbance = among(Object.keys(disturbances));
    const name = among(Object.keys(usual[disturbance]!).sort());
    const fault = { name, nth: 1 + Math.floor(pick() * Math.min(40, usual[disturbance]![name]!)), code: among(CODES) };
    const what = `run ${run} (seed ${seed + run}): ${disturbance}, ${name} call ${fault.nth} ${fault.code}`;
    const lost = load.lost;
    try {
      await it.faults.turn(fault);
      await disturbances[disturbance]!(it, pick).catch(() => {});
      await it.settled(30_000);
      const told = await it.faults.turn();
      if (told.fired) fired[name] = (fired[name] ?? 0) + 1;
      for (const [call, times] of Object.entries(told.calls)) usual[disturbance]![call] ??= times;
      const dead = count(it.text, /was ended by SIG/g);
      // A line may be what could not be written.
      const most = Math.max(dead - deaths, disturbance === 'kill' ? 1 : 0) * 2 * CLIENTS;
      assert.ok(load.lost - lost <= most, `${load.lost - lost} lost, ${dead - deaths} killed; ${told.fired?.stack}\n${load.report()}`);
      deaths = dead;
      if (process.env.VERBOSE) console.log(what, told.fired ? 'fired' : '-', load.lost - lost, `fd ${descriptors(it.cluster.pid)}`);
    } catch (error) {
      const told = await it.faults.turn().catch(() => null);
      throw new Error(`${what}\n${told?.fired?.stack ?? ''}\n${(error as Error).message}\n${it.tail()}`);
    }
  }
  await load.stop();
  if (process.env.VERBOSE) console.log(openFiles(it.cluster.pid));
  const sum = Object.values(fired).reduce((all, one) => all + one, 0);
  const after = descriptors(it.cluster.pid);
  const report = `${runs} runs, ${sum} faults in ${Object.keys(fired).length} functions, ${deaths} workers killed, `
    + `${load.answered} answered, ${load.lost} lost, faults logged ${(await it.status()).faults}, descriptors ${before} -> ${after}\n`
    + `${Object.entries(fired).map(([name, times]) => `${name} ${times}`).join(', ')}\n${load.report()}`;
  assert.ok(sum > runs / 3, report);
  assert.ok(after <= before + 10, report);
  assert.equal((await it.cluster.stop(20_000)).code, 0, `${report}\n${it.tail()}`);
  await it.cluster.waitFor(() => it.cluster.processes().length === 0, 3_000);
  return report;
}
