import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { startCluster, type Scope, type TestCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { costlyApp, flood } from '../helpers/flood.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { RawConnection, requestHead } from '../helpers/raw-client.js';

const SOON = { target: 10, interval: 50 };

function start(t: Scope, overload: object, cost = 5, more: object = {}): Promise<TestCluster> {
  const { dir } = ownApp(t, { 'app.js': costlyApp(cost), '.clusterrc': { workers: 1, plugins: { overload, ...more } } });
  return startCluster(t, dir);
}

/** A request that is under way until its connection is ended. */
async function underWay(cluster: TestCluster): Promise<net.Socket> {
  const socket = net.connect(cluster.port, '127.0.0.1').on('error', () => {});
  socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => socket.once('data', resolve));
  return socket;
}

/** All that comes on a connection until its end, and whether it was reset. */
const exchange = (port: number, ...parts: (string | Buffer)[]) => new Promise<{ text: string; error?: string }>((resolve) => {
  let text = '';
  const socket = net.connect(port, '127.0.0.1').setEncoding('latin1').on('data', (part) => { text += String(part); });
  socket.on('error', (error: NodeJS.ErrnoException) => resolve({ text, error: String(error.code) })).on('end', () => resolve({ text }));
  for (const part of parts) socket.write(part);
});

test('what has waited too long is refused, on a connection that goes on; afterwards all is answered', async (t) => {
  const cluster = await start(t, { ...SOON, acceptor: false });
  const load = flood(cluster.port, { clients: 40, keeps: true });
  await eventually(() => load.shed > 50 && (load.answers.get(200) ?? 0) > 50, 30_000);
  const { overload, workers: [worker] } = await cluster.status();
  assert.equal((worker?.overload as { over: boolean }).over, true);
  assert.equal(overload!.over, 1);
  assert.ok(overload!.slots[0]!.shed.normal > 0);
  // A path of health checks is answered by the app, whatever else there is.
  for (let times = 0; times < 5; times++) assert.equal((await get(`${cluster.url}/healthz`)).text, 'fine');
  await load.stop();
  assert.deepEqual(load.losses, []);
  assert.deepEqual([...load.answers.keys()].sort(), [200, 503]);
  await eventually(async () => (await cluster.status()).overload!.over === 0);
  for (let times = 0; times < 20; times++) assert.equal((await get(cluster.url)).status, 200);
  assert.match(cluster.output, /WARN .*worker#0 is over its limit: it sheds requests that have waited for more than \d+ ms/);
  assert.equal((await cluster.stop()).code, 0);
  await cluster.assertNothingLeft();
});

test('`requests`: the lowest priorities go first, with Retry-After; who leaves makes room', async (t) => {
  const rules = [{ path: '/low', priority: 'low' }, { method: 'PUT', priority: 'high' }];
  const cluster = await start(t, { requests: 2, retryAfter: 3, rules }, 0);
  const first = await underWay(cluster);
  const connection = new RawConnection({ port: cluster.port });
  const ask = async (method: string, path: string) => {
    const [answer] = await Promise.all(connection.send(requestHead(method, path, { 'content-length': '0' }), [method], 10_000));
    return answer!;
  };
  const refused = await ask('GET', '/low?x');
  assert.equal(refused.status, 503);
  const seconds = Number(refused.headers.get('retry-after'));
  assert.ok(seconds >= 3 && seconds <= 9, String(seconds));
  assert.equal((await ask('GET', '/')).status, 200);
  const second = await underWay(cluster);
  const statuses = [await ask('GET', '/'), await ask('PUT', '/'), await ask('GET', '/healthz')].map(({ status }) => status);
  assert.deepEqual(statuses, [503, 200, 200]);
  assert.equal(connection.usable, true, 'all of them on one connection');
  first.destroy();
  second.destroy();
  await eventually(async () => (await ask('GET', '/low')).status === 200);
  await eventually(async () => {
    const { low, normal, high } = (await cluster.status()).overload!.slots[0]!.shed;
    return low >= 1 && normal === 1 && high === 0;
  });
  connection.destroy();
});

test('an upload that is refused: its client hears of it, and is not reset; a short one leaves the connection as it is', async (t) => {
  const cluster = await start(t, { requests: 1 }, 0);
  const one = await underWay(cluster);
  const body = Buffer.alloc(512 * 1024, 'x');
  const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`;
  const { text, error } = await exchange(cluster.port, head, body);
  assert.deepEqual([error, text.slice(0, 12), /\r\nconnection: close\r\n/i.test(text)], [undefined, 'HTTP/1.1 503', true]);
  const waiting = await exchange(cluster.port, 'POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n');
  assert.deepEqual([waiting.error, waiting.text.slice(0, 12)], [undefined, 'HTTP/1.1 503']);
  const connection = new RawConnection({ port: cluster.port });
  for (let times = 0; times < 3; times++) {
    const [answer] = await Promise.all(connection.send(
      `${requestHead('POST', '/', { 'content-length': '1000' })}${'y'.repeat(1_000)}`, ['POST'], 10_000));
    assert.equal(answer!.status, 503);
  }
  assert.equal(connection.usable, true);
  connection.destroy();
  one.destroy();
});

test('streams and upgrades that run go on, and an upgrade is never refused', async (t) => {
  const cluster = await start(t, { ...SOON, requests: 30 });
  const stream = net.connect(cluster.port, '127.0.0.1').setEncoding('latin1');
  let ticks = 0;
  let ended = false;
  stream.on('data', (part) => { ticks += String(part).split('tick').length - 1; }).on('close', () => { ended = true; });
  stream.write('GET /stream HTTP/1.1\r\nHost: x\r\n\r\n');
  const upgraded = async () => {
    const socket = net.connect(cluster.port, '127.0.0.1').setEncoding('latin1');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    const head = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
    assert.match(head, /^HTTP\/1\.1 101 /);
    return socket;
  };
  const before = await upgraded();
  await eventually(() => ticks > 0);
  const load = flood(cluster.port, { clients: 60, keeps: false });
  await eventually(() => load.shed > 100, 30_000);
  const during = await upgraded();
  const seen = ticks;
  for (const socket of [before, during]) {
    const echo = new Promise((resolve) => socket.once('data', resolve));
    socket.write('hello');
    assert.equal(await echo, 'hello');
  }
  await eventually(() => ticks > seen);
  assert.equal(ended, false);
  await load.stop();
  assert.deepEqual(load.losses, []);
  for (const socket of [before, during, stream]) socket.destroy();
});

test('a reload under too much load loses nothing that is not refused; a killed worker\'s successor is not over its limit', async (t) => {
  const cluster = await start(t, SOON);
  const load = flood(cluster.port, { clients: 40, keeps: true });
  await eventually(() => load.shed > 50, 30_000);
  const { pid } = (await cluster.status()).workers[0]!;
  assert.equal((await cluster.run('reload', [], 60_000)).code, 0);
  await eventually(async () => (await cluster.status()).workers.every((worker) => worker.pid !== pid), 30_000);
  const { answers } = load;
  const [served, shed] = [answers.get(200) ?? 0, load.shed];
  await eventually(() => (answers.get(200) ?? 0) > served + 50 && load.shed > shed + 50, 30_000);
  assert.deepEqual(load.losses, []);
  const { overload } = await cluster.status();
  assert.ok(overload!.slots[0]!.shed.normal + overload!.acceptor.shed > 100, 'counted over all processes of a slot');
  await load.stop();
  process.kill((await cluster.status()).workers[0]!.pid, 'SIGKILL');
  await eventually(async () => (await get(cluster.url)).status === 200);
  assert.equal((await cluster.stop()).code, 0);
  await cluster.assertNothingLeft();
});
