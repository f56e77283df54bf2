import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { descriptors, residentBytes, type Scope } from '../helpers/cluster.js';
import { withoutNginx } from '../helpers/proxies.js';
import { sessionTrial, type SessionTrial } from '../helpers/sticky-socketio.js';
import { transfers } from '../helpers/sticky-transfer.js';
import { addresses, ask, stickyCluster } from '../helpers/sticky.js';

/** Socket.IO's stock server and client, straight and through a real nginx. */
export async function stickySessions(scope: Scope, trial: Omit<SessionTrial, 'nginx' | 'upgradeTimeout'>): Promise<string> {
  const straight = await sessionTrial(scope, { ...trial, upgradeTimeout: 1_000, nginx: false });
  if (withoutNginx) return `straight: ${straight}\n${withoutNginx}`;
  return `straight: ${straight}\nthrough nginx: ${await sessionTrial(scope, { ...trial, upgradeTimeout: 1_000, nginx: true })}`;
}

/** Uploads of 256 KiB and downloads of 20 MiB, each byte looked at, through each mode. */
export async function stickyTransfers(scope: Scope, { uploads, downloads }: { uploads: number; downloads: number }): Promise<string> {
  const body = randomBytes(256 * 1024);
  const sha1 = createHash('sha1').update(body).digest('hex');
  const lines: string[] = [];
  for (const [name, options] of Object.entries({ connection: {}, request: { mode: 'request', key: { header: 'x-client' } } })) {
    const { port } = await stickyCluster(scope, options);
    const started = performance.now();
    await transfers(port, { uploads, downloads, body, sha1, size: 20 * 1024 * 1024 });
    lines.push(`by ${name}: ${uploads} uploads and ${downloads} downloads in ${Math.round(performance.now() - started)} ms`);
  }
  return lines.join('\n');
}

/** Milliseconds that a new worker may take for what has waited for it. */
const BACKLOG = 1_000;
/**
 * Milliseconds that clients of a dead slot may wait beyond its replacement and what clients of the other slots wait meanwhile:
 * the machine's share and the generator's own.
 */
const BEYOND = 100;
/** Descriptors that an address gets when a crowd waits there for the first time, to stop accepting with, and keeps: a ParkingPlace. */
const PARKING = 2;

/** kill -9 while connections come at a fixed rate: who waits, and for how long; what stays open in the master. */
export async function stickyKills(scope: Scope, { rate, kills }: { rate: number; kills: number }): Promise<string> {
  const cluster = await stickyCluster(scope, {});
  const clients = addresses(250);
  // Each worker's pipe for connections comes with the first of them.
  for (const from of clients.slice(0, 50)) await ask(cluster, '/', { from });
  const before = descriptors(cluster.pid);
  const memory = residentBytes(cluster.pid);
  const outcomes = { answered: 0, reset: 0, hung: 0 };
  const waits: { started: number; wait: number; slot: number }[] = [];
  let next = 0;
  let open = 0;
  const one = () => {
    const started = performance.now();
    const socket = net.connect({ port: cluster.port, host: '127.0.0.1', localAddress: clients[next++ % clients.length] });
    let text = '';
    const timer = setTimeout(() => {
      outcomes.hung++;
      socket.destroy();
    }, 10_000);
    open++;
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    socket.on('data', (chunk) => { text += String(chunk); });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      open--;
      outcomes[text ? 'answered' : 'reset']++;
      waits.push({ started, wait: performance.now() - started, slot: Number(/"slot":(\d)/.exec(text)?.[1] ?? -1) });
    });
  };
  // So many a second in the mean, whatever the timer makes of its interval.
  const began = performance.now();
  let made = 0;
  const pace = setInterval(() => { for (; made < (performance.now() - began) / 1_000 * rate; made++) one(); }, 5);
  scope.after(() => clearInterval(pace));
  await delay(1_000);
  const deaths: { slot: number; died: number; took: number }[] = [];
  for (let n = 0; n < kills; n++) {
    const slot = n % 4;
    const from = cluster.output.length;
    const victim = (await cluster.status()).workers.find((worker) => worker.slot === slot && worker.state === 'ready')!;
    const died = performance.now();
    process.kill(victim.pid, 'SIGKILL');
    await cluster.waitFor(new RegExp(`\\(slot ${slot}\\) started`), 20_000, from);
    deaths.push({ slot, died, took: performance.now() - died });
    await delay(700);
  }
  clearInterval(pace);
  while (open > 0) await delay(20);
  const longestOf = (chosen: typeof waits) => chosen.reduce((most, { wait }) => Math.max(most, wait), 0);
  const longest = longestOf(waits);
  const slowest = Math.max(...deaths.map(({ took }) => took));
  const beyond = Math.max(...deaths.map(({ slot, died, took }) => {
    const meanwhile = waits.filter(({ started, wait }) => started + wait > died && started < died + took);
    const others = meanwhile.filter((one) => one.slot >= 0 && one.slot !== slot);
    return longestOf(meanwhile.filter((one) => one.slot === slot)) - took - longestOf(others);
  }));
  // What this machine makes of so many connections before anybody has died.
  const usual = longestOf(waits.filter(({ started, wait }) => started + wait < deaths[0]!.died));
  const { state } = await cluster.status();
  const flat = await cluster.waitFor(() => descriptors(cluster.pid) <= before + PARKING, 5_000).then(() => true, () => false);
  const report = `${made} connections at ${rate}/s, ${kills} kills: ${JSON.stringify(outcomes)}; `
    + `longest wait ${Math.round(longest)} ms (${Math.round(usual)} before the first), slowest replacement ${Math.round(slowest)} ms, `
    + `at most ${Math.round(beyond)} ms longer than it and the other slots' clients; `
    + `descriptors ${before} -> ${descriptors(cluster.pid)}, `
    + `RSS ${Math.round(memory / 2 ** 20)} -> ${Math.round(residentBytes(cluster.pid) / 2 ** 20)} MiB`;
  const inTime = longest <= slowest + BACKLOG + usual && beyond <= BEYOND + usual;
  if (outcomes.hung > 0 || state !== 'running' || !flat || !inTime) throw new Error(report);
  return report;
}
