import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { descriptors, residentBytes, type Scope } from '../helpers/cluster.js';
import { withoutNginx } from '../helpers/proxies.js';
import { sessionTrial, type SessionTrial } from '../helpers/sticky-socketio.js';
import { transfers } from '../helpers/sticky-transfer.js';
import { addresses, stickyCluster } from '../helpers/sticky.js';

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
const BACKLOG = 2_000;

/** kill -9 while connections come at a fixed rate: who waits, and for how long; what stays open in the master. */
export async function stickyKills(scope: Scope, { rate, kills }: { rate: number; kills: number }): Promise<string> {
  const cluster = await stickyCluster(scope, {});
  const clients = addresses(250);
  const before = descriptors(cluster.pid);
  const memory = residentBytes(cluster.pid);
  const outcomes = { answered: 0, reset: 0, hung: 0 };
  let longest = 0;
  let next = 0;
  let open = 0;
  const one = () => {
    const started = performance.now();
    const socket = net.connect({ port: cluster.port, host: '127.0.0.1', localAddress: clients[next++ % clients.length] });
    let received = false;
    const timer = setTimeout(() => {
      outcomes.hung++;
      socket.destroy();
    }, 10_000);
    open++;
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    socket.on('data', () => { received = true; });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      open--;
      outcomes[received ? 'answered' : 'reset']++;
      longest = Math.max(longest, performance.now() - started);
    });
  };
  // So many a second in the mean, whatever the timer makes of its interval.
  const began = performance.now();
  let made = 0;
  const pace = setInterval(() => { for (; made < (performance.now() - began) / 1_000 * rate; made++) one(); }, 5);
  scope.after(() => clearInterval(pace));
  await delay(1_000);
  let slowest = 0;
  for (let n = 0; n < kills; n++) {
    const slot = n % 4;
    const from = cluster.output.length;
    const victim = (await cluster.status()).workers.find((worker) => worker.slot === slot && worker.state === 'ready')!;
    const died = performance.now();
    process.kill(victim.pid, 'SIGKILL');
    await cluster.waitFor(new RegExp(`\\(slot ${slot}\\) started`), 20_000, from);
    slowest = Math.max(slowest, performance.now() - died);
    await delay(700);
  }
  clearInterval(pace);
  while (open > 0) await delay(20);
  const { state } = await cluster.status();
  await cluster.waitFor(() => descriptors(cluster.pid) <= before + 4, 5_000);
  const report = `${made} connections at ${rate}/s, ${kills} kills: ${JSON.stringify(outcomes)}; longest wait ${Math.round(longest)} ms, slowest replacement ${Math.round(slowest)} ms; `
    + `descriptors ${before} -> ${descriptors(cluster.pid)}, RSS ${Math.round(memory / 2 ** 20)} -> ${Math.round(residentBytes(cluster.pid) / 2 ** 20)} MiB`;
  if (outcomes.hung > 0 || state !== 'running' || longest > slowest + BACKLOG) throw new Error(report);
  return report;
}
