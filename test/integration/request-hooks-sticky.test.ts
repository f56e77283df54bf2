import assert from 'node:assert/strict';
import http2 from 'node:http2';
import net from 'node:net';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { appWith } from '../helpers/worker-parts.js';

const STICKY = { plugins: { 'sticky-session': { mode: 'request', key: { header: 'x-client' } } }, workers: 2 };
const CLIENTS = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7'];
const LOG = `for (const hook of ['request', 'upgrade']) runtime.hooks[hook].tap('log', (request) => {
    request.headers['x-taps'] = (request.headers['x-taps'] ?? '') + hook + runtime.slot;
  });`;

/** What comes until the connection closes. */
function answerTo(port: number, head: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1').setEncoding('utf8');
    let text = '';
    socket.on('data', (chunk) => { text += String(chunk); }).on('error', reject).on('close', () => resolve(text));
    socket.write(`${head}\r\nHost: x\r\nConnection: close\r\n\r\n`);
  });
}

test('taps run once, in the worker that serves, whatever a request expects of it', { timeout: 60_000 }, async (t) => {
  const app = `const slot = process.env.CLUSTER_SLOT;
  const answer = (how) => (request, response) => response.end([how, slot, request.headers['x-taps']].join(' '));
  const server = require('node:http').createServer(answer('request'));
  server.on('checkExpectation', answer('checkExpectation'));
  server.on('connect', (request, socket) => socket.end('HTTP/1.1 200 OK\\r\\n\\r\\nconnect ' + slot + ' ' + request.headers['x-taps']));
  server.on('upgrade', (request, socket) => socket.end('HTTP/1.1 101 OK\\r\\n\\r\\nupgrade ' + slot + ' ' + request.headers['x-taps']));
  server.listen(process.env.PORT);`;
  const { port } = await startCluster(t, appWith(t, app, { log: LOG }, STICKY));
  const slots = new Map<string, Set<string>>(CLIENTS.map((client) => [client, new Set()]));
  const told = async (client: string, head: string, expected: RegExp) => {
    const answer = await answerTo(port, `${head}\r\nX-Client: ${client}`);
    const [, slot, taps] = expected.exec(answer) ?? [];
    assert.ok(slot, answer);
    assert.equal(taps, slot);
    slots.get(client)?.add(slot);
  };
  for (let round = 0; round < 3; round++) await Promise.all(CLIENTS.map(async (client) => {
    await told(client, 'GET / HTTP/1.1', /request (\d) request(\d)$/);
    await told(client, 'GET / HTTP/1.1\r\nExpect: a miracle', /checkExpectation (\d) request(\d)$/);
    await told(client, 'GET / HTTP/1.1\r\nExpect: 100-continue', /^HTTP\S+ 100 [^]*HTTP\S+ 200 [^]*request (\d) request(\d)$/);
    await told(client, 'CONNECT x:1 HTTP/1.1', /connect (\d) upgrade(\d)$/);
  }));
  assert.deepEqual([...slots.values()].map(({ size }) => size), CLIENTS.map(() => 1));
  assert.deepEqual(new Set([...slots.values()].flatMap((all) => [...all])), new Set(['0', '1']));
});

test('what an app hears as HTTP/2 streams is served where it comes, and its requests where they belong', { timeout: 60_000 }, async (t) => {
  const app = `const slot = process.env.CLUSTER_SLOT;
  const { createServer } = require('node:http2');
  createServer().on('stream', (stream, headers) => {
    stream.respond({ ':status': 203 });
    stream.end('stream ' + slot + ' ' + headers['x-taps']);
  }).listen(process.env.PORT);
  const both = createServer((request, response) => response.end('request ' + slot + ' ' + request.headers['x-taps']));
  both.on('stream', () => {});
  both.on('connect', (request, response) => response.end('connect ' + slot + ' ' + request.headers['x-taps']));
  both.listen(process.env.SECOND_PORT);`;
  const second = await new Promise<number>((resolve) => {
    const server = net.createServer().listen(0, () => server.close(() => resolve(port)));
    const { port } = server.address() as net.AddressInfo;
  });
  const { port } = await startCluster(t, appWith(t, app, { log: LOG }, STICKY), { env: { SECOND_PORT: String(second) } });
  const ask = (to: number, client: string, headers: http2.OutgoingHttpHeaders = {}) => new Promise<string>((resolve, reject) => {
    const session = http2.connect(`http://127.0.0.1:${to}`).on('error', reject);
    const call = session.request({ 'x-client': client, ...headers });
    let text = '';
    call.setEncoding('utf8').on('data', (chunk) => { text += String(chunk); }).on('error', reject);
    call.on('end', () => {
      session.destroy();
      resolve(text);
    });
    call.end();
  });
  const owners = new Map<string, string>();
  for (let round = 0; round < 3; round++) for (const client of CLIENTS) {
    assert.match(await ask(port, client, { ':method': 'POST' }), /^stream (\d) request\1$/);
    const [, slot = ''] = /^request (\d) /.exec(await ask(second, client)) ?? [];
    assert.equal(slot, owners.get(client) ?? slot);
    owners.set(client, slot);
    assert.match(await ask(second, client, { ':method': 'CONNECT', ':authority': 'x:1' }), /^connect (\d) request\1$/);
  }
  assert.deepEqual(new Set(owners.values()), new Set(['0', '1']));
});
