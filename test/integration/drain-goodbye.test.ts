import assert from 'node:assert/strict';
import { once as event } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { Socket } from 'node:net';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { CutRequests } from '../../lib/ipc/messages.js';
import { alone } from '../helpers/alone.js';
import { freePort } from '../helpers/cluster.js';
import { keepAliveProxy, startNginx, withoutNginx } from '../helpers/proxies.js';
import { RawWebSocket } from '../helpers/raw-client-streams.js';
import { Client, mostWithin } from '../helpers/web-sockets.js';

const KINDS = ['/quiet', '/talks', '/deflates', '/fragments', '/by-hand'];
const APP = 'web-sockets/server.js';
const opened = (clients: Client[]) => Promise.all(clients.map((client) => client.opened));
/** Each that is talked to has heard something. */
const heard = async (clients: Client[]) => {
  while (!clients.every(({ messages, socket }) => messages > 3 || socket.url.endsWith('/quiet'))) await delay(20);
};

for (const [reason, code] of [['reload', 1012], ['stop', 1001]] as const) {
  test(`${reason}: every WebSocket is closed with ${code}, between two messages, also under TLS`, async (t) => {
    const secure = await freePort();
    const app = await alone(t, APP, { env: { HTTPS_PORT: String(secure) }, options: { moveWithin: 1_000 } });
    const clients = KINDS.flatMap((path) => [false, true].flatMap((isSecure) =>
      [1, 2, 3].map(() => new Client(isSecure ? secure : app.port, path, { secure: isSecure }))));
    await opened(clients);
    await heard(clients);
    const ended = app.close(reason, 10_000);
    const results = await Promise.all(clients.map((client) => client.ended));
    assert.deepEqual(results.map((one) => one.code), results.map(() => code));
    assert.equal(results.reduce((sum, { broken }) => sum + broken, 0), 0);
    const { code: exit, took } = await ended;
    assert.equal(exit, 0);
    assert.ok(took < 5_000, `${took} ms`);
    assert.equal(app.messages.some(({ type }) => type === 'child.cut'), false);
    const fate = reason === 'stop' ? /^ended 30 WebSockets, to be opened again/ : /^moved 30 WebSockets to other workers/;
    assert.ok(app.messages.some(({ told }) => fate.test(told ?? '')));
  });
}

test('goodbyes are spread over moveWithin', async (t) => {
  const app = await alone(t, APP, { options: { moveWithin: 4_000 } });
  const clients = Array.from({ length: 100 }, () => new Client(app.port, '/quiet'));
  await opened(clients);
  const began = performance.now();
  const ended = app.close('reload', 20_000);
  const results = await Promise.all(clients.map((client) => client.ended));
  const times = results.map(({ at }) => at);
  assert.ok(results.every(({ code }) => code === 1012));
  assert.ok(Math.max(...times) - began > 3_500, `the last after ${Math.max(...times) - began} ms`);
  assert.ok(mostWithin(times, 500) <= 25, `${mostWithin(times, 500)} within 500 ms`);
  assert.equal((await ended).code, 0);
});

test('an app that closes its WebSockets itself is not interrupted', async (t) => {
  const app = await alone(t, APP);
  const client = new Client(app.port, '/polite');
  await client.opened;
  const ended = app.close('reload', 10_000);
  const { code, reason } = await client.ended;
  assert.deepEqual([code, reason], [4_000, 'of my own']);
  assert.ok((await ended).took < 1_000);
});

test('a client that does not answer has upgradeTimeout', async (t) => {
  const app = await alone(t, APP, { options: { upgradeTimeout: 1_500 } });
  const client = new RawWebSocket({ port: app.port }, '/quiet');
  await client.opened;
  const ended = app.close('reload', 10_000);
  assert.equal(await client.closed, 1012);
  const { code, took } = await ended;
  assert.equal(code, 0);
  assert.ok(took > 1_400 && took < 2_800, `${took} ms`);
});

test('a message that never ends is cut visibly when the time is over', async (t) => {
  const app = await alone(t, APP);
  const client = new Client(app.port, '/never?secret');
  await client.opened;
  const ended = app.close('stop', 2_000);
  assert.equal((await client.ended).code, 1006);
  assert.equal((await ended).code, 0);
  const cut = app.messages.filter(({ type }) => type === 'child.cut').at(-1)?.data as unknown as CutRequests;
  assert.deepEqual([cut.count, cut.oldest[0]?.path], [1, '/never']);
});

test('another upgraded protocol goes on until upgradeTimeout after the last answer, and gets no frame', async (t) => {
  const app = await alone(t, APP);
  const request = http.get({ port: app.port, path: '/other', headers: { Connection: 'Upgrade', Upgrade: 'capitals' } });
  const [, socket] = await event(request, 'upgrade') as [unknown, Socket];
  let text = '';
  socket.on('data', (data) => { text += String(data); });
  const ended = app.close('reload', 10_000);
  await delay(500);
  socket.write('hello');
  await event(socket, 'end');
  socket.end();
  assert.equal(text, 'HELLO');
  const { code, took } = await ended;
  assert.equal(code, 0);
  assert.ok(took > 950 && took < 1_600, `${took} ms`);
});

test('a WebSocket over HTTP/2 as well', async (t) => {
  const port = await freePort();
  const app = await alone(t, APP, { env: { HTTP2_CLEAR_PORT: String(port) } });
  const session = http2.connect(`http://127.0.0.1:${port}`).on('error', () => {});
  await event(session, 'remoteSettings');
  const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/' });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await event(stream, 'data');
  const ended = app.close('reload', 10_000);
  await event(stream, 'end');
  stream.end();
  assert.deepEqual(Buffer.concat(chunks).subarray(-4), Buffer.from([0x88, 2, 0x03, 0xf4]));
  assert.equal((await ended).code, 0);
});

test('through nginx', { skip: withoutNginx }, async (t) => {
  const app = await alone(t, APP, { options: { moveWithin: 500 } });
  const nginx = await startNginx(t, (port) => keepAliveProxy(port, `127.0.0.1:${app.port}`));
  const clients = KINDS.flatMap((path) => [1, 2, 3].map(() => new Client(nginx, path)));
  await opened(clients);
  await heard(clients);
  const ended = app.close('reload', 10_000);
  const results = await Promise.all(clients.map((client) => client.ended));
  assert.deepEqual(results.map(({ code, broken }) => [code, broken]), results.map(() => [1012, 0]));
  assert.equal((await ended).code, 0);
});

test('a handshake that the app does not answer has the time of a request, and is none that moves', async (t) => {
  const app = await alone(t, APP);
  const client = new Client(app.port, '/forgets');
  const whole = new Client(app.port, '/quiet');
  await whole.opened;
  const ended = app.close('reload', 2_000, 60_000);
  assert.equal((await client.ended).code, 1006);
  const { code, took } = await ended;
  assert.equal(code, 0);
  assert.ok(took < 3_000, `${took} ms`);
  assert.equal(app.messages.some(({ type }) => type === 'child.onlyStreams'), false);
  const cut = app.messages.filter(({ type }) => type === 'child.cut').at(-1)?.data as unknown as CutRequests;
  assert.deepEqual(cut.oldest.map(({ path }) => path), ['/forgets']);
});
