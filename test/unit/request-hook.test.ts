import assert from 'node:assert/strict';
import http from 'node:http';
import http2, { type Http2Server } from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RequestTap, ServedRequest, ServedResponse } from '../../lib/api/runtime.js';
import { BailChildHook, gateRequests } from '../../lib/child/request-hooks.js';
import type { Server } from 'node:net';

type Requests = BailChildHook<[ServedRequest, ServedResponse, Server]>;
type Upgrades = BailChildHook<[ServedRequest, Duplex, Buffer, Server]>;

/** Two gates of a server, as where two copies of this are in one process. */
function hooks(...servers: Server[]) {
  const made = { request: new BailChildHook(gate), upgrade: new BailChildHook(gate) };
  const logged: string[] = [];
  function gate(): void {
    for (const server of servers) gateRequests(server, { hooks: made, logger: { error: (text: string) => logged.push(text) } } as never);
  }
  return { request: made.request as unknown as Requests, upgrade: made.upgrade as unknown as Upgrades, logged };
}

async function served(t: TestContext, server: http.Server | Http2Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  if ('closeAllConnections' in server) t.after(() => server.closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a request goes on by the taps that there were when it came', async () => {
  const hook = new BailChildHook<[string[]]>();
  const add = (tap: string | RequestTap, then: () => unknown = () => {}): void =>
    hook.tap(tap, (seen) => { seen.push(typeof tap === 'string' ? tap : tap.name); return then(); });
  add('one', () => { if (hook.taps.length < 3) add({ name: 'before', stage: -1 }); });
  add('two', async () => { if (hook.taps.length < 4) add({ name: 'after', stage: 1 }); });
  const first: string[] = [];
  assert.equal(await hook.call(hook.taps, [first]), false);
  assert.deepEqual(first, ['one', 'two']);
  const second: string[] = [];
  await hook.call(hook.taps, [second]);
  assert.deepEqual(second, ['before', 'one', 'two', 'after']);
});

test('a tap has its own limit', async () => {
  const hook = new BailChildHook<[]>();
  hook.tap({ name: 'hangs', limit: 20 }, () => new Promise(() => {}));
  await assert.rejects(async () => hook.call(hook.taps, []), (error: Error) => {
    assert.equal(error.message, 'plugin "hangs" failed at a request');
    assert.match(String(error.cause), /it did not finish within 20 ms/);
    return true;
  });
});

/** What a client gets that sends its body when it is told to go on. */
function put(url: string): Promise<{ status: number | undefined; continued: number }> {
  return new Promise((resolve, reject) => {
    let continued = 0;
    const request = http.request(url, { method: 'PUT', headers: { expect: '100-continue', 'content-length': 4 } }, (answer) => {
      answer.resume().on('end', () => resolve({ status: answer.statusCode, continued }));
    });
    request.on('continue', () => { continued++; request.end('body'); }).on('error', reject).flushHeaders();
  });
}

test('two gates of one server: each has its taps see a request once, and one of them says 100 Continue', async (t) => {
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => response.end('app'));
  });
  const [inner, outer] = [hooks(server), hooks(server)];
  const seen: string[] = [];
  inner.request.tap('inner', ({ method }) => { seen.push(`inner ${method}`); });
  outer.request.tap('outer', async ({ method }) => { seen.push(`outer ${method}`); });
  const url = await served(t, server);
  const { status, continued } = await put(url);
  assert.deepEqual([status, continued, seen], [200, 1, ['outer PUT', 'inner PUT']]);
});

test('a tap that comes when its server listens counts from the next request on', async (t) => {
  const server = http.createServer((_, response) => response.end('app'));
  const { request, logged } = hooks(server);
  const url = await served(t, server);
  assert.equal((await fetch(url)).status, 200);
  request.tap('late', (_, response) => {
    response.statusCode = 403;
    response.end();
    return true;
  });
  assert.equal((await fetch(url)).status, 403);
  request.tap({ name: 'broken', stage: -1 }, () => { throw new Error('no'); });
  assert.equal((await fetch(url)).status, 500);
  assert.deepEqual(logged, ['plugin "broken" failed at a request']);
});

test('a request that one server hands to another goes through the taps once', async (t) => {
  const main = http.createServer((_, response) => response.end('main'));
  const door = http.createServer((request, response) => { main.emit('request', request, response); });
  const { request } = hooks(main, door);
  const seen: string[] = [];
  request.tap('counts', ({ url }, _, server) => { seen.push(`${url} ${server === door ? 'door' : 'main'}`); });
  await served(t, main);
  assert.equal(await (await fetch(`${await served(t, door)}/one`)).text(), 'main');
  assert.deepEqual(seen, ['/one door']);
});

/** What a client gets that asks for another protocol. */
async function turn(url: string, line: string, headers = ''): Promise<string> {
  const client = net.connect(Number(new URL(url).port), '127.0.0.1');
  client.write(`${line} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
  let text = '';
  for await (const bytes of client.setEncoding('latin1')) text += bytes;
  return text;
}

const TURNS = [['upgrade', 'GET /socket', 'Connection: Upgrade\r\nUpgrade: own\r\n'], ['connect', 'CONNECT x:1']] as const;

for (const [event, line, headers] of TURNS) {
  for (const when of ['before it listens', 'while it serves']) {
    test(`a server whose upgrades alone are tapped is as Node made it until it has a listener of "${event}", ${when}`, async (t) => {
      const server = http.createServer((_, response) => response.end('app'));
      const { upgrade } = hooks(server);
      const seen: string[] = [];
      const listen = () => server.on(event, (_: unknown, socket: Duplex) => { seen.push('app'); socket.end('turned'); });
      if (when === 'before it listens') listen();
      upgrade.tap('counts', ({ method }) => { seen.push(`tap ${method}`); });
      const url = await served(t, server);
      if (when === 'while it serves') {
        assert.equal(Object.hasOwn(server, 'emit'), false);
        assert.equal(await (await fetch(url)).text(), 'app');
        server.on('clientError', () => {});
        assert.equal(Object.hasOwn(server, 'emit'), false);
        listen();
      }
      assert.equal(Object.hasOwn(server, 'emit'), true);
      assert.equal(await turn(url, line, headers), 'turned');
      assert.deepEqual(seen, [`tap ${line.split(' ')[0]}`, 'app']);
      assert.equal(server.listenerCount('newListener'), 0);
    });
  }
}

test('a tap that comes after an `emit` of the app\'s own sees each request once, and the app all of them', async (t) => {
  const server = http.createServer((_, response) => response.end('app'));
  const { request, upgrade } = hooks(server);
  const seen: string[] = [];
  upgrade.tap('upgrades', () => {});
  const url = await served(t, server);
  const { emit } = server;
  server.emit = function (this: http.Server, ...args: [string, ...unknown[]]) {
    if (args[0] === 'request') seen.push('emit');
    return Reflect.apply(emit, this, args) as boolean;
  };
  await fetch(url);
  request.tap('late', () => { seen.push('tap'); });
  server.on('upgrade', () => {});
  await fetch(url);
  assert.deepEqual(seen, ['emit', 'tap', 'emit']);
});

test('100 Continue is said where the own `emit` of an app passes the gate by', { timeout: 10_000 }, async (t) => {
  const server = http.createServer((request, response) => { request.resume().on('end', () => response.end('app')); });
  const url = await served(t, server);
  const { request } = hooks(server);
  request.tap('unseen', () => undefined);
  server.emit = function (...args: [string, ...unknown[]]) { return Reflect.apply(http.Server.prototype.emit, this, args) as boolean; };
  assert.deepEqual(await put(url), { status: 200, continued: 1 });
});

test('a stream that waited for a tap has its trailers, and its answer the headers of taps beside its own', async (t) => {
  const server = http2.createServer().on('stream', (stream, headers) => {
    if (headers[':path'] === '/file') return stream.respondWithFile(fileURLToPath(import.meta.url), { ':status': 203, 'ETag': 'own' });
    let trailers: unknown;
    stream.on('trailers', (came: http2.IncomingHttpHeaders) => { trailers = came['x-sum']; });
    stream.resume().on('end', () => {
      stream.respond({ 'ETag': 'own' });
      stream.end(trailers);
    });
  });
  const { request } = hooks(server);
  let go = () => {};
  request.tap('sets', async (asked, response) => {
    response.setHeader('etag', 'of a tap');
    response.setHeader('x-tap', 'yes');
    if (asked.url !== '/sum') return;
    await new Promise<void>((resolve) => {
      (asked as http2.Http2ServerRequest).stream.once('trailers', () => resolve());
      go();
    });
  });
  const session = http2.connect(await served(t, server));
  t.after(() => session.destroy());
  const ask = (url: string) => new Promise((resolve, reject) => {
    const told: unknown[] = [];
    const call = session.request({ ':path': url, ':method': 'POST' }, { waitForTrailers: true });
    go = () => call.end();
    call.on('wantTrailers', () => call.sendTrailers({ 'x-sum': '7' })).on('error', reject);
    call.on('response', (got) => told.push(got[':status'], got.etag, got['x-tap'])).setEncoding('utf8');
    call.on('data', (text: string) => told.push(text.slice(0, 6))).on('end', () => resolve(told.slice(0, 4)));
    if (url === '/file') call.end();
  });
  assert.deepEqual(await ask('/sum'), [200, 'own', 'yes', '7']);
  assert.deepEqual(await ask('/file'), [203, 'own', 'yes', 'import']);
});
