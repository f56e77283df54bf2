import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once as event } from 'node:events';
import net from 'node:net';
import test, { type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import tls from 'node:tls';
import { alone, type Alone } from '../helpers/alone.js';
import { freePort } from '../helpers/cluster.js';

const LONG = 20_000;
const within = (value: number, from: number, to: number, what = '') =>
  assert.ok(value >= from && value <= to, `${what} ${Math.round(value)} ms is not within ${from}..${to}`);

interface Servers {
  app: Alone;
  ports: Record<string, number>;
  to: Record<string, () => Promise<net.Socket>>;
}

/** An app with all kinds of servers; `to` opens connections that say nothing by themselves. */
async function servers(t: TestContext, env: Record<string, string> = {}): Promise<Servers> {
  const names = ['HTTPS_PORT', 'HTTP2_PORT', 'HTTP2_CLEAR_PORT', 'TCP_PORT', 'TLS_PORT'] as const;
  const ports = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await freePort()] as const)));
  const app = await alone(t, 'drain-app/server.js', {
    env: { KEEP_ALIVE: '1000', ...env, ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])) },
  });
  const plain = (port: number | undefined) => async () => {
    const socket = net.connect(port!, '127.0.0.1').on('error', () => {});
    t.after(() => socket.destroy());
    await event(socket, 'connect');
    return socket;
  };
  const secure = (port: number | undefined, alpn: string) => async () => {
    const socket = tls.connect({ port: port!, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: [alpn] }).on('error', () => {});
    t.after(() => socket.destroy());
    await event(socket, 'secureConnect');
    return socket;
  };
  return { app, ports, to: {
    http: plain(app.port),
    https: secure(ports.HTTPS_PORT, 'http/1.1'),
    handshake: plain(ports.HTTPS_PORT),
    http2: secure(ports.HTTP2_PORT, 'h2'),
    http1on2: secure(ports.HTTP2_PORT, 'http/1.1'),
    http2Clear: plain(ports.HTTP2_CLEAR_PORT),
    tcp: plain(ports.TCP_PORT),
    tls: secure(ports.TLS_PORT, 'any'),
  } };
}

/** Nobody reads what comes, and no FIN is answered: as a client whose network is gone. */
function vanish(socket: net.Socket): void {
  socket.pause();
  socket.removeAllListeners('end');
  socket.allowHalfOpen = true;
}

const CLIENT_HELLO = Buffer.from('1603010200010001fc0303', 'hex');
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const HALVES: readonly (readonly [what: string, to: string, bytes: string | Buffer])[] = [
  ['half a request head', 'http', 'GET / HT'],
  ['a head without its end', 'http', 'GET / HTTP/1.1\r\nHost: x\r\n'],
  ['half a request head over TLS', 'https', 'GET / HT'],
  ['half a request head to an HTTP/2 server', 'http1on2', 'GET / HT'],
  ['half a TLS handshake', 'handshake', CLIENT_HELLO],
  ['half an HTTP/2 preface', 'http2', PREFACE.slice(0, 10)],
  ['half an HTTP/2 preface, not over TLS', 'http2Clear', PREFACE.slice(0, 10)],
  ['a preface and nothing behind it', 'http2Clear', PREFACE],
];

for (const [what, name, bytes] of HALVES) {
  test(`${what} holds a stop for idleTimeout alone`, async (t) => {
    const { app, to } = await servers(t);
    const socket = await to[name]!();
    vanish(socket);
    socket.write(bytes);
    await delay(100);
    const { code, took } = await app.close('stop', LONG);
    assert.equal(code, 0);
    within(took, 900, 2_000);
  });
}

test('half a head, and half a handshake, at a reload: as long as an idle connection', async (t) => {
  const { app, to } = await servers(t);
  for (const [, name, bytes] of HALVES.slice(0, 5)) {
    const socket = await to[name]!();
    vanish(socket);
    socket.write(bytes);
  }
  await delay(100);
  const { code, took } = await app.close('reload', LONG);
  assert.equal(code, 0);
  within(took, 1_900, 7_500);
});

test('the rest of a head that comes while draining is answered', async (t) => {
  const { app, to } = await servers(t, { KEEP_ALIVE: '20000' });
  const socket = await to.http!();
  socket.write('GET /echo HTTP/1.1\r\nHost: x\r\n\r\n');
  await event(socket, 'data');
  const ended = app.close('stop', LONG);
  await delay(500);
  socket.write('GET /echo HT');
  // Later than idleTimeout after the drain's beginning, sooner after its own.
  await delay(650);
  socket.write('TP/1.1\r\nHost: x\r\n\r\n');
  assert.match(String((await event(socket, 'data'))[0]), /200 OK[\s\S]*Connection: close[\s\S]*\/echo/);
  assert.equal((await ended).code, 0);
});

test('a head that comes byte by byte has 5 s', async (t) => {
  const { app, to } = await servers(t);
  const socket = await to.http!();
  socket.write('GET /');
  const dribble = setInterval(() => { if (socket.writable) socket.write('x'); }, 200);
  t.after(() => clearInterval(dribble));
  await delay(300);
  within((await app.close('stop', LONG)).took, 4_800, 6_000);
});

/** A client in a process of its own that is stopped when it has its answer, or is to have none: it reads and answers nothing more. */
async function stoppedClient(t: TestContext, url: string, path: string): Promise<void> {
  const script = `const session = require('http2').connect('${url}', { rejectUnauthorized: false });
    const stream = session.request({ ':path': '${path}' }).resume();
    if ('${path}' === '/echo') stream.on('end', () => setTimeout(() => console.log('here'), 100));
    else session.once('connect', () => setTimeout(() => console.log('here'), 300));`;
  const client = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => client.kill('SIGKILL'));
  await event(client.stdout, 'data');
  client.kill('SIGSTOP');
}

for (const [name, scheme] of [['HTTP2_PORT', 'https'], ['HTTP2_CLEAR_PORT', 'http']] as const) {
  for (const [reason, holds, least, most] of [['stop', 'idleTimeout', 900, 2_000], ['reload', '5 s', 4_800, 6_500]] as const) {
    test(`an HTTP/2 client (${scheme}) that has vanished holds a ${reason} for ${holds}`, async (t) => {
      const { app, ports } = await servers(t);
      await stoppedClient(t, `${scheme}://127.0.0.1:${ports[name]}`, '/echo');
      const { code, took } = await app.close(reason, LONG);
      assert.equal(code, 0);
      within(took, least, most);
    });
  }

  test(`an HTTP/2 client (${scheme}) that never reads: its stream is cut at the deadline, the exit is a clean one`, async (t) => {
    const { app, ports } = await servers(t);
    await stoppedClient(t, `${scheme}://127.0.0.1:${ports[name]}`, '/slow?ms=60000');
    const { code, took } = await app.close('reload', 3_000);
    assert.equal(code, 0);
    within(took, 2_300, 3_000);
  });
}

for (const name of ['tcp', 'tls']) {
  for (const reason of ['stop', 'reload'] as const) {
    test(`a ${name} connection that is idle holds a ${reason} for tcpTimeout`, async (t) => {
      const { app, to } = await servers(t);
      const [answering, vanished] = [await to[name]!(), await to[name]!()];
      vanish(vanished);
      answering.write('hello');
      await event(answering, 'data');
      const closed = event(answering, 'end');
      const ended = app.close(reason, LONG);
      await closed;
      const { code, took } = await ended;
      assert.equal(code, 0);
      within(took, 1_900, 3_000);
    });
  }
}

test('a client that reads slowly is not idle', async (t) => {
  const { app, to } = await servers(t, { FLOOD: '20000000' });
  const socket = await to.tcp!();
  socket.write('flood');
  let got = 0;
  socket.on('data', (chunk: Buffer) => {
    got += chunk.length;
    socket.pause();
    setTimeout(() => socket.resume(), 20);
  });
  await event(socket, 'data');
  const ended = app.close('reload', LONG);
  await event(socket, 'end');
  assert.equal(got, 20_000_000);
  assert.equal((await ended).code, 0);
});
