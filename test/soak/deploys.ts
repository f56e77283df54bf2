import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { EventSource } from 'eventsource';
import { freePort, startCluster, type Scope, type TestCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { SocketClients } from '../helpers/sticky-socketio.js';
import { stickyCluster } from '../helpers/sticky.js';
import { readTokens, type Told } from '../helpers/token-streams.js';
import { Client, mostWithin, type Ended } from '../helpers/web-sockets.js';
import { withConfig } from '../helpers/with-config.js';

export interface Deploys {
  reloads: number;
  /** Between two steps, ms. */
  pause: number;
}

/** Numbers of workers, and which of them gets SIGTERM, spread over the reloads. */
const SCALE = [3, 2, 4, 1, 2];
const TERMS = 3;

/** Reloads, with up to 5 scale steps and 3 SIGTERMs of workers between them. */
async function deploy(cluster: TestCluster, { reloads, pause }: Deploys): Promise<string> {
  const every = (steps: number, of: number) => (step: number) => Math.floor((step + 1) * of / steps) > Math.floor(step * of / steps);
  const [scales, terms] = [every(reloads, SCALE.length), every(reloads, TERMS)];
  const sizes = [...SCALE];
  let signals = 0;
  for (let step = 0; step < reloads; step++) {
    await delay(pause);
    const { code, stdout, stderr } = await cluster.run('reload', [], 120_000);
    assert.equal(code, 0, stdout + stderr);
    if (scales(step)) {
      await delay(pause / 4);
      const scaled = await cluster.run('scale', [String(sizes.shift())], 120_000);
      assert.equal(scaled.code, 0, scaled.stderr);
    }
    if (!terms(step)) continue;
    await delay(pause / 4);
    signals++;
    process.kill((await cluster.status()).workers.find(({ state }) => state === 'ready')!.pid, 'SIGTERM');
  }
  // The last to get a signal is no duck yet.
  await delay(2_000);
  return `${reloads} reloads, ${SCALE.length - sizes.length} scale steps, ${signals} SIGTERMs`;
}

const start = (scope: Scope, app: string, env: Record<string, string>) => startCluster(scope, app, {
  env, flags: ['--config', withConfig(scope, { workers: 2, agent: false })],
});

/** Where the clients' own process has done something else for so long (ms), what has come meanwhile comes at once for them. */
const PAUSE = 200;
const TICK = 20;

/** The most of these that one moment, and the next 500 ms, brought: all of them, and without what came right after such pauses. */
function watched(): (times: readonly number[]) => { all: number; most: number; pauses: number } {
  const pauses: { from: number; to: number }[] = [];
  let before = performance.now();
  const ticking = setInterval(() => {
    const now = performance.now();
    if (now - before > PAUSE) pauses.push({ from: before, to: now });
    before = now;
  }, TICK);
  return (times) => {
    clearInterval(ticking);
    const seen = times.filter((at) => !pauses.some(({ from, to }) => at >= from && at <= to + PAUSE));
    return { all: mostWithin(times, 500), most: mostWithin(seen, 500), pauses: pauses.length };
  };
}

const share = ({ all, most, pauses }: ReturnType<ReturnType<typeof watched>>, of: number): string => {
  const percent = (many: number) => `${(many / of * 100).toFixed(1)} %`;
  return `at most ${percent(most)} in 500 ms (${percent(all)} with what came after ${pauses} pauses of the clients' own process)`;
};

const count = (values: readonly unknown[]): string =>
  JSON.stringify(Object.fromEntries([...new Set(values)].map((value) => [String(value), values.filter((one) => one === value).length])));

/** Finite answers of 20 to 50 s, so many at a time. A duck has until the next reload but one. */
export async function tokenStreams(scope: Scope, { streams, ...deploys }: Deploys & { streams: number }): Promise<string> {
  const http2 = await freePort();
  const cluster = await start(scope, 'token-streams', { HTTP2_CLEAR_PORT: String(http2) });
  const all: Told[] = [];
  let refused = 0;
  let going = true;
  const lane = async (n: number) => {
    await delay(n * 40);
    while (going) {
      const seconds = 20 + Math.random() * 30;
      const isHttp2 = (n & 1) === 1;
      const told = await readTokens({
        port: isHttp2 ? http2 : cluster.port, http2: isHttp2, method: n & 2 ? 'GET' : 'POST', gzip: (n & 4) === 4,
        tokens: Math.round(seconds * 2), ms: 500,
      });
      // HTTP/2's word for "ask again, nobody has seen it", which browsers do by themselves.
      if (told.how === 'refused') refused++;
      else all.push(told);
    }
  };
  const lanes = Array.from({ length: streams }, (_, n) => lane(n));
  const done = await deploy(cluster, deploys);
  going = false;
  await Promise.all(lanes);
  const report = `${all.length} token streams of 20 to 50 s, ${streams} at a time, over ${done}: ${count(all.map(({ how }) => how))}, `
    + `${refused} refused unseen`;
  const bad = all.filter(({ how }) => how !== 'whole');
  assert.equal(bad.length, 0, `${report} ${JSON.stringify(bad.slice(0, 10))}\n${cluster.output.slice(-4_000)}`);
  assert.equal((await cluster.status()).cut, 0);
  await cluster.stop();
  await cluster.assertNothingLeft();
  return report;
}

const PATHS = ['/quiet', '/talks', '/deflates', '/fragments', '/by-hand'];

/** Stock clients that come back whenever they are told to go. */
export async function webSockets(scope: Scope, { sockets, ...deploys }: Deploys & { sockets: number }): Promise<string> {
  const cluster = await start(scope, 'web-sockets', { PAUSE: '500' });
  const most = watched();
  const all: Ended[] = [];
  let going = true;
  const open: Client[] = [];
  const lane = async (n: number) => {
    while (going) {
      const client = open[n] = new Client(cluster.port, PATHS[n % PATHS.length]!);
      all.push(await client.ended);
    }
  };
  const lanes = Array.from({ length: sockets }, (_, n) => lane(n));
  const done = await deploy(cluster, deploys);
  await delay(17_000);
  going = false;
  const ends = [...all];
  for (const { socket } of open) socket.terminate();
  await Promise.all(lanes);
  const rate = most(ends.map(({ at }) => at));
  const [messages, broken] = [ends.reduce((sum, one) => sum + one.messages, 0), ends.reduce((sum, one) => sum + one.broken, 0)];
  const report = `${sockets} WebSockets over ${done}: ${ends.length} closed, codes ${count(ends.map(({ code }) => code))}, `
    + `${share(rate, sockets)}, ${messages} messages, ${broken} cut`;
  const good = ends.length > sockets && ends.every(({ code }) => code === 1012) && broken === 0;
  assert.ok(good, `${report}\n${cluster.output.slice(-4_000)}`);
  assert.ok(rate.most <= sockets * 0.15, report);
  await cluster.stop();
  return report;
}

/** A real EventSource, with its own way to come back. */
export async function eventSources(
  scope: Scope, { sources, ...deploys }: Deploys & { sources: number },
): Promise<string> {
  const cluster = await start(scope, 'token-streams', {});
  const most = watched();
  const errors: number[] = [];
  const opened: number[] = [];
  const last: number[] = [];
  const all = Array.from({ length: sources }, (_, n) => {
    const source = new EventSource(`http://127.0.0.1:${cluster.port}/events`);
    source.addEventListener('open', () => opened.push(performance.now()));
    source.addEventListener('error', () => errors.push(performance.now()));
    source.addEventListener('message', () => { last[n] = performance.now(); });
    return source;
  });
  scope.after(() => { for (const source of all) source.close(); });
  await cluster.waitFor(() => opened.length === sources);
  const done = await deploy(cluster, deploys);
  await eventually(async () => (await cluster.status()).ducks.length === 0, 120_000);
  await delay(5_000);
  const rate = most(errors);
  const served = last.filter((at) => performance.now() - at < 2_000).length;
  const report = `${sources} EventSource clients over ${done}: ${errors.length} times moved, ${opened.length - sources} times back, `
    + `${share(rate, sources)}, ${served} served at the end`;
  assert.ok(errors.length >= sources && served === sources && rate.most <= sources * 0.1, `${report}\n${cluster.output.slice(-4_000)}`);
  for (const source of all) source.close();
  await cluster.stop();
  return report;
}

/** Socket.IO's stock clients, in request mode: forwarders and owners reload. */
export async function socketIo(scope: Scope, { clients: number, ...deploys }: Deploys & { clients: number }): Promise<string> {
  const cluster = await stickyCluster(scope, { mode: 'request', key: 'socket.io' }, { app: 'sticky-socketio', config: { workers: 2 } });
  const clients = new SocketClients(`http://127.0.0.1:${cluster.port}`, number, { transports: ['websocket'] });
  scope.after(() => clients.close());
  assert.ok(await clients.settle(20_000));
  const done = await deploy(cluster, deploys);
  await eventually(async () => (await cluster.status()).ducks.length === 0, 60_000);
  assert.ok(await clients.settle(20_000));
  const report = `${number} Socket.IO clients over ${done}: ${clients.connects} connects, codes ${JSON.stringify([...clients.codes])}, `
    + `${clients.echoes} echoes, ${clients.strangers} by another worker`;
  const good = [...clients.codes.keys()].every((code) => code === 1012) && clients.strangers === 0;
  assert.ok(good, `${report}\n${cluster.output.slice(-4_000)}`);
  clients.close();
  await cluster.stop();
  return report;
}
