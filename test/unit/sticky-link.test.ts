import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import http, { type IncomingMessage, type RequestListener } from 'node:http';
import net, { type AddressInfo, type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { test, type TestContext } from 'node:test';
import type { Runtime } from '../../lib/runtime.js';
import { Agents } from '../../plugins/sticky-session/agents.js';
import { forward } from '../../plugins/sticky-session/forward.js';
import { FrameReader, FrameWriter, Kind } from '../../plugins/sticky-session/link-frames.js';
import { PrivateServer } from '../../plugins/sticky-session/private-server.js';
import { eventually } from '../helpers/eventually.js';

const MIB = 1024 * 1024;

interface Pair {
  port: number;
  agents: Agents;
  owner: PrivateServer;
  /** Of each time that another owner was asked for: whether the one before has seen the request. */
  failures: boolean[];
}

/** Two workers in one process: one that clients come to, and the owner of all that they ask for. */
async function pair(t: TestContext, app: RequestListener): Promise<Pair> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-link-'));
  const file = path.join(dir, 'owner.sock');
  const runtime = { channel: { open: true }, inner: { add() {} } } as unknown as Runtime<'worker'>;
  const owner = new PrivateServer(runtime, new Map([['app', http.createServer(app) as Server]]), () => {});
  await owner.listen(file);
  const agents = new Agents();
  await agents.begins();
  const failures: boolean[] = [];
  const forwarding = {
    server: 'app', from: 1, socketOf: () => file,
    next: async (failed: number | null, saw = false) => {
      if (failed !== null) failures.push(saw);
      return 2;
    },
  };
  const front = http.createServer((request, response) => { void forward(request, response, agents, forwarding, 2); });
  front.listen(0, '127.0.0.1');
  await new Promise((resolve) => front.once('listening', resolve));
  t.after(async () => {
    front.close();
    front.closeAllConnections();
    agents.retire(() => false);
    await owner.close(Promise.resolve(), performance.now() + 100, 0);
    rmSync(dir, { recursive: true });
  });
  return { port: (front.address() as AddressInfo).port, agents, owner, failures };
}

interface Told {
  status: number;
  headers: http.IncomingHttpHeaders;
  trailers: NodeJS.Dict<string>;
  text: string;
  /** The client's own port. */
  from: number;
}

function ask(port: number, url: string, options: http.RequestOptions = {}): Promise<Told> {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1', path: url, agent: false, ...options }, (answer) => {
      const { localPort = 0 } = answer.socket;
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      answer.on('end', () => resolve({
        status: answer.statusCode ?? 0, headers: answer.headers, trailers: answer.trailers, text: String(Buffer.concat(chunks)),
        from: localPort,
      }));
    });
    request.on('error', reject).end();
  });
}

test('many at once take one connection to their owner, and each is shown its own client', async (t) => {
  const held: (() => void)[] = [];
  const { port } = await pair(t, (request, response) => {
    const { remotePort, remoteAddress } = request.socket;
    held.push(() => response.end(`${request.url} ${remoteAddress} ${remotePort} ${request.headers['x-hatchery-hop'] ?? ''}`));
    if (held.length === 300) for (const answer of held.splice(0).reverse()) answer();
  });
  const connect = t.mock.method(net, 'connect');
  for (let round = 0; round < 2; round++) {
    const answers = await Promise.all(Array.from({ length: 300 }, (_, n) => ask(port, `/${round}/${n}`)));
    for (const [n, { text, from }] of answers.entries()) assert.equal(text, `/${round}/${n} 127.0.0.1 ${from} `);
  }
  const toOwner = connect.mock.calls.filter(({ arguments: [where] }) => String(Object(where).path).endsWith('.sock'));
  assert.equal(toOwner.length, 1);
});

test('all that an answer can be comes through: HEAD, 304, chunks, trailers, hints, many headers, the end of a connection', async (t) => {
  const answers: Record<string, RequestListener> = {
    '/length': (_, response) => response.writeHead(200, { 'Content-Length': 2 }).end('ok'),
    '/304': (_, response) => response.writeHead(304, { ETag: 'x' }).end(),
    '/chunks': (_, response) => {
      response.write('one');
      setTimeout(() => response.end('two'), 5);
    },
    '/trailers': (_, response) => {
      response.writeHead(200, { Trailer: 'X-Sum' }).write('x');
      response.addTrailers({ 'X-Sum': '7' });
      response.end();
    },
    '/hints': (_, response) => {
      response.writeEarlyHints({ link: '</a>; rel=preload' });
      response.end('ok');
    },
    '/many': (_, response) => {
      for (let n = 0; n < 60; n++) response.setHeader(`X-${n}`, String(n));
      response.appendHeader('Set-Cookie', 'a=1').appendHeader('Set-Cookie', 'b=2').end('ok');
    },
    '/close': (_, response) => response.setHeader('Connection', 'close').end('ok'),
    '/endless': (_, response) => {
      response.removeHeader('Transfer-Encoding');
      response.write('until ');
      response.end('the end');
    },
    '/large': (_, response) => response.end(Buffer.alloc(3 * MIB, 'l')),
    '/letters': (_, response) => response.end('grün €'),
  };
  const { port } = await pair(t, (request, response) => answers[request.url ?? '']?.(request, response));
  // Twice on each line.
  for (let round = 0; round < 2; round++) {
    assert.equal((await ask(port, '/length', { method: 'HEAD' })).headers['content-length'], '2');
    assert.deepEqual([(await ask(port, '/length')).text, (await ask(port, '/304')).status], ['ok', 304]);
    assert.equal((await ask(port, '/chunks')).text, 'onetwo');
    assert.deepEqual({ ...(await ask(port, '/trailers')).trailers }, { 'x-sum': '7' });
    assert.equal((await ask(port, '/hints')).text, 'ok');
    const { headers } = await ask(port, '/many');
    assert.deepEqual([headers['x-0'], headers['x-59'], headers['set-cookie']], ['0', '59', ['a=1', 'b=2']]);
    assert.equal((await ask(port, '/close')).text, 'ok');
    assert.equal((await ask(port, '/endless')).text, 'until the end');
    assert.equal((await ask(port, '/large')).text.length, 3 * MIB);
    assert.equal((await ask(port, '/letters')).text, 'grün €');
    assert.equal((await ask(port, '/length', { method: 'POST' })).text, 'ok');
  }
});

test('a client that reads nothing holds its own answer alone, and gets all of it once it reads', { timeout: 30_000 }, async (t) => {
  let written = 0;
  const { port } = await pair(t, (request, response) => {
    if (request.url !== '/endless') return response.end('ok');
    response.writeHead(200, { 'Content-Length': 64 * MIB });
    const chunk = Buffer.alloc(MIB, 'x');
    const write = (): void => {
      while (written < 64 * MIB) {
        written += MIB;
        if (!response.write(chunk)) return void response.once('drain', write);
      }
      response.end();
    };
    write();
  });
  const answer = await new Promise<IncomingMessage>((resolve) => { http.get({ port, path: '/endless', agent: false }, resolve); });
  let last = -1;
  await eventually(async () => {
    const is = written === last;
    last = written;
    for (let n = 0; n < 20; n++) assert.equal((await ask(port, '/')).text, 'ok');
    return is;
  });
  assert.ok(written < 32 * MIB, `${written} bytes were taken of an answer that nobody reads`);
  let read = 0;
  for await (const chunk of answer) read += (chunk as Buffer).length;
  assert.equal(read, 64 * MIB);
});

test('a client that leaves is told to the app, and the next has a line of its own', async (t) => {
  const left: string[] = [];
  const came: string[] = [];
  const { port } = await pair(t, (request, response) => {
    came.push(request.url ?? '');
    if (request.url === '/next') return response.end('ok');
    if (request.url === '/begun') response.write('begun');
    response.once('close', () => left.push(request.url ?? ''));
  });
  for (const url of ['/silent', '/begun']) {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {});
    socket.write(`GET ${url} HTTP/1.1\r\nHost: x\r\n\r\nGET ${url}-behind HTTP/1.1\r\nHost: x\r\n\r\n`);
    await eventually(async () => came.includes(url) && came.includes(`${url}-behind`));
    socket.resetAndDestroy();
    await eventually(async () => left.includes(url) && left.includes(`${url}-behind`));
    for (let n = 0; n < 3; n++) assert.equal((await ask(port, '/next')).text, 'ok');
  }
});

test('an owner that cuts a request is asked once more for what is safe, and never for anything else', async (t) => {
  const seen: string[] = [];
  const { port, failures } = await pair(t, (request, response) => {
    seen.push(`${request.method} ${request.url}`);
    if (request.url === '/ok') return response.end('ok');
    if (request.url === '/begun') return void response.write('begun', () => setTimeout(() => request.socket.destroy(), 20));
    request.socket.destroy();
  });
  // Lines that are new, and such as have answered before.
  for (let round = 0; round < 2; round++) {
    seen.length = failures.length = 0;
    assert.equal((await ask(port, '/cut')).status, 502);
    assert.equal((await ask(port, '/cut', { method: 'DELETE' })).status, 502);
    assert.deepEqual([seen, failures], [['GET /cut', 'GET /cut', 'DELETE /cut'], [true]]);
    await assert.rejects(ask(port, '/begun'), /ECONNRESET|aborted/);
    assert.deepEqual((await Promise.all(Array.from({ length: 5 }, () => ask(port, '/ok')))).map(({ text }) => text), Array(5).fill('ok'));
  }
});

test('what its owner has answered when it closes arrives', async (t) => {
  const answers: (() => void)[] = [];
  const { port, owner } = await pair(t, (_, response) => { answers.push(() => response.end('x'.repeat(100_000))); });
  const asked = Array.from({ length: 20 }, () => ask(port, '/'));
  await eventually(async () => answers.length === 20);
  for (const answer of answers) answer();
  await owner.close(Promise.resolve(), performance.now() + 5_000, 0);
  assert.deepEqual((await Promise.all(asked)).map(({ text }) => text.length), Array(20).fill(100_000));
});

test('frames come out as they went in, whatever the pieces that they arrive in', async () => {
  const wire = new PassThrough();
  const writer = new FrameWriter(wire as unknown as net.Socket, true);
  const big = Buffer.alloc(100_000, 'b');
  let done = 0;
  writer.frame(Kind.client, 7, 'grün', 'utf8', () => { done++; });
  writer.frame(Kind.bytes, 8, big, 'latin1', () => { done++; });
  writer.ask(Kind.open, 9, 7, 'GET / HTTP/1.1\r\n\r\n');
  writer.frame(Kind.gone, 2 ** 32 - 1, 3);
  writer.frame(Kind.bytes, 8, 'caf\xe9');
  writer.frame(Kind.end, 0);
  writer.flush();
  wire.end();
  const all = Buffer.concat(await wire.toArray() as Buffer[]);
  for (const size of [1, 7, 4_096, all.length]) {
    const seen: [number, number, string][] = [];
    const reader = new FrameReader((kind, id, payload) => {
      const last = seen.at(-1);
      if (kind === Kind.bytes && last?.[0] === kind && last[1] === id) last[2] += payload.toString('latin1');
      else seen.push([kind, id, payload.toString('latin1')]);
    });
    for (let at = 0; at < all.length; at += size) reader.read(all.subarray(at, at + size));
    assert.deepEqual(seen, [
      [Kind.client, 7, Buffer.from('grün').toString('latin1')], [Kind.bytes, 8, big.toString('latin1')],
      [Kind.open, 9, '\x07\0\0\0GET / HTTP/1.1\r\n\r\n'], [Kind.gone, 2 ** 32 - 1, '\x03\0\0\0'], [Kind.bytes, 8, 'caf\xe9'],
      [Kind.end, 0, ''],
    ]);
  }
  await new Promise(setImmediate);
  assert.equal(done, 2);
});
