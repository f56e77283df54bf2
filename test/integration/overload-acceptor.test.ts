import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, run, startCluster, type Scope, type TestCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { costlyApp, flood } from '../helpers/flood.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';

const SOON = { target: 10, interval: 50 };

const start = (t: Scope, overload: object, more: object = {}, workers = 1): Promise<TestCluster> => {
  const { dir } = ownApp(t, { 'app.js': costlyApp(5), '.clusterrc': { workers, plugins: { overload, ...more } } });
  return startCluster(t, dir);
};

const acceptorOf = async (cluster: TestCluster) => (await cluster.status()).overload!.acceptor;

/** A connection, what has come of it, and its end. */
function connect(port: number, ...parts: (string | Buffer)[]) {
  const socket = net.connect(port, '127.0.0.1').setEncoding('latin1');
  const seen = { socket, text: '', over: null as string | null };
  socket.on('data', (part) => { seen.text += String(part); });
  socket.on('error', (error: NodeJS.ErrnoException) => { seen.over ??= String(error.code); });
  socket.on('end', () => { seen.over ??= 'end'; });
  for (const part of parts) socket.write(part);
  return seen;
}

const head = (method: string, path: string, more = ''): string => `${method} ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;

/** So many connections of a kind, one each few ms, and all of their ends. */
async function several(count: number, port: number, ...parts: (string | Buffer)[]) {
  const all: ReturnType<typeof connect>[] = [];
  for (; all.length < count; await delay(5)) all.push(connect(port, ...parts));
  await eventually(() => all.every(({ over }) => over !== null), 30_000);
  return all;
}

test('while all workers are over their limits the master answers, and resets nobody, whatever he has sent', async (t) => {
  const cluster = await start(t, SOON);
  const load = flood(cluster.port, { clients: 80, keeps: false });
  await eventually(async () => (await acceptorOf(cluster)).shed > 50, 30_000);
  const body = Buffer.alloc(300 * 1024, 'x');
  for (const [what, ...parts] of [
    ['a body', head('POST', '/', `Content-Length: ${body.length}\r\nConnection: close\r\n`), body],
    ['a long head', head('GET', `/${'p'.repeat(200)}`, `Cookie: ${'c'.repeat(10_000)}\r\nConnection: close\r\n`)],
    ['a head in pieces', 'GET / HTTP/1.1\r\nHo', 'st: x\r\nConnection: cl', 'ose\r\n\r\n'],
    ['no body wanted', head('HEAD', '/', 'Connection: close\r\n')],
  ] as const) {
    const all = await several(20, cluster.port, ...parts);
    assert.deepEqual(all.filter(({ over }) => over !== 'end').map(({ over, text }) => `${over}: ${text.slice(0, 60)}`), [], what);
    for (const { text } of all) assert.match(text, /^HTTP\/1\.1 (?:200|503) /, what);
    const shed = all.filter(({ text }) => text.startsWith('HTTP/1.1 503'));
    for (const { text } of shed) assert.match(text, /\r\nRetry-After: [123]\r\n/i);
    if (what === 'no body wanted') for (const { text } of all) assert.ok(text.endsWith('\r\n\r\n'), text);
  }
  await load.stop();
  assert.deepEqual(load.losses, []);
  await eventually(async () => (await cluster.status()).overload!.over === 0);
  const { shed } = await acceptorOf(cluster);
  for (let times = 0; times < 20; times++) assert.equal((await get(cluster.url)).status, 200);
  assert.equal((await acceptorOf(cluster)).shed, shed);
  assert.equal((await cluster.stop()).code, 0);
  await cluster.assertNothingLeft();
});

test('who is not to be shed is passed on with what was read of him: health checks, rules, upgrades, half of a body', async (t) => {
  const cluster = await start(t, { ...SOON, rules: [{ path: '/vip', priority: 'never' }] });
  const load = flood(cluster.port, { clients: 80, keeps: false });
  await eventually(async () => (await acceptorOf(cluster)).shed > 50, 30_000);
  const kinds = async () => {
    for (const { text } of await several(10, cluster.port, head('GET', '/healthz', 'Connection: close\r\n'))) assert.match(text, /fine$/);
    const parts = [head('POST', '/vip', 'Content-Length: 8\r\nConnection: close\r\n'), 'half', 'half'];
    for (const { text } of await several(10, cluster.port, ...parts)) assert.match(text, /done 8$/);
    const upgrades = Array.from({ length: 10 }, () => connect(cluster.port, head('GET', '/', 'Connection: Upgrade\r\nUpgrade: echo\r\n')));
    await eventually(() => upgrades.every(({ text }) => text.startsWith('HTTP/1.1 101 ')), 30_000);
    for (const { socket } of upgrades) socket.destroy();
  };
  for (let passed = 0; passed < 10; passed = (await acceptorOf(cluster)).passed) await kinds();
  await load.stop();
  assert.deepEqual(load.losses, []);
});

test('a head that does not come is answered after a second; a connection that asks nothing yet is served when it does', async (t) => {
  const cluster = await start(t, SOON);
  const load = flood(cluster.port, { clients: 80, keeps: false });
  await eventually(async () => (await acceptorOf(cluster)).shed > 50, 30_000);
  const silent: ReturnType<typeof connect>[] = [];
  const begun: ReturnType<typeof connect>[] = [];
  const more = async () => {
    for (let count = 0; count < 20; count++, await delay(5)) {
      silent.push(connect(cluster.port));
      begun.push(connect(cluster.port, 'GET / HTTP/1.1\r\nHost'));
    }
  };
  await more();
  await eventually(async () => {
    const isAnswered = begun.some(({ text, over }) => text.startsWith('HTTP/1.1 503') && over === 'end');
    if (isAnswered && (await acceptorOf(cluster)).silent > 0) return true;
    await more();
    return false;
  }, 30_000);
  await load.stop();
  assert.deepEqual(silent.filter(({ over }) => over !== null), []);
  for (const { socket } of silent) socket.write(head('GET', '/', 'Connection: close\r\n'));
  await eventually(() => silent.every(({ over }) => over !== null), 30_000);
  for (const { text, over } of silent) assert.match(`${over} ${text}`, /^end HTTP\/1\.1 (?:200|503) /);
  for (const { socket } of begun) socket.destroy();
  assert.deepEqual(load.losses, []);
});

test('one worker that has room takes what comes, and nothing is answered for it', async (t) => {
  const cluster = await start(t, { ...SOON, target: 10_000 }, {}, 2);
  const load = flood(cluster.port, { clients: 20, keeps: false });
  await eventually(() => (load.answers.get(200) ?? 0) > 300, 30_000);
  await load.stop();
  const { acceptor, picks } = (await cluster.status()).overload!;
  assert.deepEqual([acceptor.shed, load.shed, load.losses], [0, 0, []]);
  assert.ok(picks > 0);
});

test('`/readyz` says that a worker is over its limit, and that it is no more', async (t) => {
  const port = await freePort();
  const cluster = await start(t, SOON, { 'health-check': { port } });
  const ready = async () => get(`http://127.0.0.1:${port}/readyz`);
  assert.equal((await ready()).status, 200);
  const load = flood(cluster.port, { clients: 40, keeps: true });
  await eventually(async () => {
    const { status, json } = await ready();
    const isTold = (reason: string) => /^worker#0 .*: it is over its limit, and sheds requests$/.test(reason);
    return status === 503 && (json.reasons as string[]).some(isTold);
  }, 30_000);
  const { text } = await get(`http://127.0.0.1:${port}/metrics`);
  assert.match(text, /^hatchery_worker_overloaded\{slot="0"\} 1$/m);
  await load.stop();
  await eventually(async () => (await ready()).status === 200);
});

for (const balance of ['os', 'reuse-port']) {
  test(`with balance "${balance}" the master sees no connection: refused with a code, unless a worker is to shed alone`, async (t) => {
    const { dir } = ownApp(t, { 'app.js': costlyApp(0), '.clusterrc': { workers: 1, balance, plugins: { overload: true } } });
    const refused = await run(['start', dir, '--title', 'refused'], { env: process.env });
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /plugin "overload" routes connections, .*`balance: "round-robin"` alone, found /);
    const alone = ownApp(t, { 'app.js': costlyApp(0), '.clusterrc': {
      workers: 1, balance: 'os', plugins: { overload: { route: false, acceptor: false, requests: 1 } },
    } });
    const cluster = await startCluster(t, alone.dir);
    const one = connect(cluster.port, head('GET', '/slow'));
    await eventually(() => one.text.includes('begun'));
    assert.equal((await get(cluster.url)).status, 503);
    one.socket.destroy();
  });
}
