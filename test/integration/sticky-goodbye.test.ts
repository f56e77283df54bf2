import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../helpers/eventually.js';
import { SocketClients } from '../helpers/sticky-socketio.js';
import { stickyCluster } from '../helpers/sticky.js';
import { Client } from '../helpers/web-sockets.js';

const KEY = { mode: 'request', key: { header: 'x-client' } };
const graceful = { plugins: { 'graceful-exit': { moveWithin: 1_500, subscriptionAge: 1_000 } } };

test('WebSockets that go through another worker are closed with 1012 between two messages, whichever of the two drains', async (t) => {
  const cluster = await stickyCluster(t, KEY, { app: 'web-sockets', config: { workers: 3, ...graceful } });
  for (const drains of ['one', 'all']) {
    const clients = ['/talks', '/by-hand', '/fragments'].flatMap((path) => Array.from({ length: 12 }, (_, n) =>
      new Client(cluster.port, path, { headers: { 'x-client': `k${n}` } })));
    await Promise.all(clients.map(({ opened }) => opened));
    await delay(200);
    if (drains === 'one') process.kill((await cluster.status()).workers[1]!.pid, 'SIGTERM');
    else await cluster.run('reload');
    const going = drains === 'all' ? clients : [];
    const ended = await Promise.all(going.map((client) => client.ended));
    assert.deepEqual(ended.map(({ code, broken }) => [code, broken]), ended.map(() => [1012, 0]));
    const gone = () => clients.filter(({ socket }) => socket.readyState !== 1);
    await eventually(async () => gone().length > 6 && (await cluster.status()).ducks.length === 0, 20_000);
    for (const client of gone()) assert.deepEqual([(await client.ended).code, client.broken], [1012, 0]);
    for (const { socket } of clients) socket.terminate();
  }
  assert.equal((await cluster.status()).cut, 0);
  await cluster.stop();
});

/** The lines of an answer that ends in order; else how it ended. */
function stream(port: number, path: string, key: string, headers: http.OutgoingHttpHeaders = {}): Promise<number | string> {
  return new Promise((resolve) => {
    const request = http.request({ port, path, method: 'POST', agent: false, headers: { 'x-client': key, ...headers } }, (answer) => {
      let text = '';
      answer.on('data', (data) => { text += String(data); });
      answer.on('error', ({ code }: NodeJS.ErrnoException) => resolve(String(code)));
      answer.on('end', () => resolve(text.split('\n').length - 1));
    });
    request.on('error', ({ code }: NodeJS.ErrnoException) => resolve(String(code)));
    request.end();
  });
}

test('a stream that goes through another worker is finished, through reload, scale and SIGTERM of both', async (t) => {
  const cluster = await stickyCluster(t, KEY, { app: 'drain-app', config: { workers: 3, ...graceful } });
  const streams = Array.from({ length: 24 }, (_, n) => stream(cluster.port, '/stream?chunks=160&ms=50', `k${n}`));
  await delay(300);
  await cluster.run('reload');
  const { ducks, workers } = await cluster.status();
  assert.equal(ducks.length, 3);
  assert.ok(workers.every(({ generation, state }) => generation === 2 && state === 'ready'));
  const second = Array.from({ length: 24 }, (_, n) => stream(cluster.port, '/stream?chunks=80&ms=50', `k${n}`));
  await delay(200);
  await cluster.run('scale', ['2']);
  process.kill((await cluster.status()).workers[0]!.pid, 'SIGTERM');
  assert.deepEqual(await Promise.all(streams), streams.map(() => 160));
  assert.deepEqual(await Promise.all(second), second.map(() => 80));
  await eventually(async () => (await cluster.status()).ducks.length === 0);
  assert.equal((await cluster.status()).cut, 0);
  await cluster.stop();
});

test('a subscription that goes through another worker is cut visibly once it is old enough', async (t) => {
  const cluster = await stickyCluster(t, KEY, { app: 'drain-app', config: { workers: 2, ...graceful } });
  const subscribe = (key: string) => new Promise<string>((resolve) => {
    const over = ({ code }: NodeJS.ErrnoException) => resolve(String(code));
    http.get({ port: cluster.port, path: '/sse', agent: false, headers: { 'x-client': key, accept: 'text/event-stream' } }, (answer) => {
      answer.on('error', over).on('end', () => resolve('end')).resume();
    }).on('error', over);
  });
  const ends = Array.from({ length: 12 }, (_, n) => subscribe(`k${n}`));
  await delay(300);
  await cluster.run('reload');
  assert.deepEqual(await Promise.all(ends), ends.map(() => 'ECONNRESET'));
  assert.ok((await cluster.status()).moved as number >= 12);
  await cluster.stop();
});

test('Socket.IO: a client whose forwarder, or owner, reloads hears 1012 and comes back', async (t) => {
  const cluster = await stickyCluster(t, { mode: 'request', key: 'socket.io' }, {
    app: 'sticky-socketio', env: { KEEP_ALIVE: '1000' }, config: { workers: 3, ...graceful },
  });
  // Those that poll are told in the answer to a poll (sticky-socketio).
  const clients = new SocketClients(`http://127.0.0.1:${cluster.port}`, 30, { transports: ['websocket'] });
  t.after(() => clients.close());
  assert.ok(await clients.settle(10_000));
  await cluster.waitFor(() => clients.upgraded === 30);
  await cluster.run('reload');
  // Some come back to a worker whose turn is still to come.
  await eventually(async () => clients.connects >= 60 && (await cluster.status()).ducks.length === 0);
  assert.ok(await clients.settle(10_000));
  assert.deepEqual([...clients.codes.keys()], [1012], JSON.stringify([...clients.codes, ...clients.errors]));
  assert.deepEqual(await clients.unserved(5_000), []);
  await cluster.stop();
});
