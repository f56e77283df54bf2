import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { CutRequests } from '../../lib/ipc/messages.js';
import { alone } from '../helpers/alone.js';
import { freePort } from '../helpers/cluster.js';

/** How an answer that is read off a socket ends: `end`, which may look whole, or the error's code. */
function ends(port: number, head: string, secure = false): Promise<{ how: string; text: string }> {
  return new Promise((resolve) => {
    const socket = secure ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }) : net.connect(port, '127.0.0.1');
    let text = '';
    socket.once(secure ? 'secureConnect' : 'connect', () => { socket.write(head); });
    socket.on('data', (data) => { text += String(data); });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve({ how: error.code ?? error.message, text }));
    socket.on('end', () => resolve({ how: 'end', text }));
  });
}

/** The same of an HTTP/2 answer. */
function endsOfStream(port: number, path: string, headers: http2.OutgoingHttpHeaders = {}): Promise<string> {
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false }).on('error', () => {});
  return new Promise<string>((resolve) => {
    const stream = session.request({ ':path': path, ...headers });
    stream.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    stream.on('end', () => resolve('end')).resume();
  }).finally(() => session.destroy());
}

const OLD = 'GET /stream?chunks=1000&ms=20 HTTP/1.0\r\nHost: x\r\n\r\n';
const EVENTS = { accept: 'text/event-stream' };

test('a close-delimited answer is cut by a reset, also over TLS, and an HTTP/2 stream by an error', async (t) => {
  const [https, secure2] = [await freePort(), await freePort()];
  const app = await alone(t, 'drain-app/server.js', { env: { HTTPS_PORT: String(https), HTTP2_PORT: String(secure2) } });
  const answers = [ends(app.port, OLD), ends(https, OLD, true)];
  const stream = endsOfStream(secure2, '/stream?chunks=1000&ms=20');
  await delay(300);
  const { code } = await app.close('stop', 2_000);
  assert.equal(code, 0);
  for (const { how, text } of await Promise.all(answers)) {
    assert.equal(how, 'ECONNRESET');
    assert.match(text, /chunk 5\n/);
  }
  assert.equal(await stream, 'ERR_HTTP2_STREAM_ERROR');
  const cut = app.messages.filter(({ type }) => type === 'child.cut').at(-1)?.data as unknown as CutRequests;
  assert.equal(cut.count, 3);
  assert.ok(cut.oldest.every(({ path, age }) => path === '/stream' && age > 1_000));
});

test('a stream has its own time where the worker is replaced; a request has not', async (t) => {
  const app = await alone(t, 'drain-app/server.js');
  const whole = ends(app.port, 'GET /stream?chunks=60&ms=50 HTTP/1.1\r\nHost: x\r\n\r\n');
  const slow = ends(app.port, 'GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n');
  await delay(200);
  const ended = app.close('reload', 1_500);
  assert.equal((await slow).how, 'ECONNRESET');
  const only = await app.message(({ type }) => type === 'child.onlyStreams');
  assert.ok(only);
  const { how, text } = await whole;
  assert.equal(how, 'end');
  assert.match(text, /chunk 59\n\r\n0\r\n\r\n$/);
  const { code, took } = await ended;
  assert.equal(code, 0);
  assert.ok(took > 2_000, `${took} ms`);
});

test('an upload that is coming in is a stream', async (t) => {
  const app = await alone(t, 'drain-app/server.js');
  const request = http.request({ port: app.port, method: 'POST', path: '/upload', agent: false });
  const answer = new Promise<string>((resolve, reject) => {
    request.on('error', reject).on('response', (response) => response.on('data', (data) => resolve(String(data))));
  });
  request.write('some');
  await delay(200);
  const ended = app.close('reload', 1_000);
  for (let n = 0; n < 8; n++) {
    await delay(200);
    request.write('more');
  }
  request.end();
  assert.match(await answer, /^36 /);
  assert.equal((await ended).code, 0);
});

test('subscriptions are moved once they are old enough, a few at a time; younger ones go on, and a POST always does', async (t) => {
  const secure2 = await freePort();
  const options = { subscriptionAge: 1_000, moveWithin: 1_000 };
  const app = await alone(t, 'drain-app/server.js', { env: { HTTP2_PORT: String(secure2) }, options });
  const at: number[] = [];
  const subscribe = () => ends(app.port, 'GET /sse HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n').then(({ how }) => {
    at.push(performance.now());
    return how;
  });
  const subscriptions = Array.from({ length: 20 }, subscribe);
  const stream = endsOfStream(secure2, '/sse', EVENTS);
  const post = ends(app.port, 'POST /stream?chunks=80&ms=50 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Length: 0\r\n\r\n');
  await delay(300);
  const began = performance.now();
  const ended = app.close('reload', 10_000);
  assert.deepEqual(new Set(await Promise.all(subscriptions)), new Set(['ECONNRESET']));
  assert.equal(await stream, 'ERR_HTTP2_STREAM_ERROR');
  assert.ok(at[0]! - began > 500, `the first after ${at[0]! - began} ms`);
  const within = at.map((time) => at.filter((other) => other >= time && other < time + 250).length);
  assert.ok(Math.max(...within) <= 8, `${Math.max(...within)} within 250 ms`);
  assert.equal((await post).how, 'end');
  assert.equal((await ended).code, 0);
  assert.ok(app.messages.some(({ told }) => /^moved 21 event streams to other workers; the oldest: GET \/sse, \d/.test(told ?? '')));
  assert.ok(!app.messages.some(({ type }) => type === 'child.cut'));
});

test('at a stop old subscriptions go at once, and a stream has the time of every request', async (t) => {
  const app = await alone(t, 'drain-app/server.js', { options: { subscriptionAge: 200 } });
  const subscription = ends(app.port, 'GET /sse HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n');
  await delay(1_200);
  const stream = ends(app.port, 'GET /stream?chunks=1000&ms=20 HTTP/1.1\r\nHost: x\r\n\r\n');
  await delay(200);
  const began = performance.now();
  const ended = app.close('stop', 2_000);
  assert.equal((await subscription).how, 'ECONNRESET');
  assert.ok(performance.now() - began < 600);
  assert.equal((await stream).how, 'ECONNRESET');
  const { took } = await ended;
  assert.ok(took > 1_500 && took < 2_100, `${took} ms`);
});
