import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net, { type AddressInfo, type Server } from 'node:net';
import { after, test } from 'node:test';
import type { Address } from '../../lib/ipc/messages.js';
import type { BootInfo } from '../../lib/ipc/messages.js';
import { BailChildHook } from '../../lib/child/request-hooks.js';
import { SyncChildHook } from '../../lib/child/runtime.js';
import type { ListenOptions, Runtime } from '../../lib/api/runtime.js';
import { listenStateOf, trackServers } from '../../lib/child/server-tracker.js';

const listen: BootInfo['listen'] = { port: 0, hasServer: true, named: true, expected: null };
const events: string[] = [];
const addresses: Address[] = [];
const runtime = {
  boot: { listen },
  servers: new Set<Server>(),
  hooks: {
    server: new SyncChildHook<[Server]>(), listen: new SyncChildHook<[Server, ListenOptions]>(),
    listening: new SyncChildHook<[Server, Address]>(), request: new BailChildHook(), upgrade: new BailChildHook(),
  },
} as unknown as Runtime;
const { prototype } = net.Server;
const original = Object.getOwnPropertyDescriptor(prototype, 'listen') as PropertyDescriptor;
after(() => Object.defineProperty(prototype, 'listen', original));

trackServers(runtime);
runtime.hooks.server.tap('test', () => events.push('server'));
runtime.hooks.listen.tap('test', () => events.push('listen'));
runtime.hooks.listening.tap('test', (_server, address) => {
  events.push('listening');
  addresses.push(address);
});

const kinds: [Address['protocol'], () => Server][] = [
  ['tcp', () => net.createServer()],
  ['http', () => http.createServer()],
  ['https', () => https.createServer()],
  ['http', () => http2.createServer() as unknown as Server],
  ['http2', () => http2.createSecureServer() as unknown as Server],
];

for (const [protocol, create] of kinds) {
  test(`a ${protocol} server is met once, and listed while it listens`, async () => {
    events.length = addresses.length = 0;
    const server = create();
    for (let round = 1; round <= 2; round++) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      assert.ok(runtime.servers.has(server));
      server.close();
      await once(server, 'close');
      assert.ok(!runtime.servers.has(server));
    }
    assert.deepEqual(events, ['server', 'listen', 'listening', 'listen', 'listening']);
    assert.equal(addresses[0]?.protocol, protocol);
    assert.equal(addresses[0]?.host, '127.0.0.1');
    assert.ok(addresses[0]?.port);
  });
}

test('a server that cannot listen is no longer waited for, and its error stays unhandled', async () => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const server = net.createServer();
  server.listen((taken.address() as AddressInfo).port, '127.0.0.1');
  assert.equal(listenStateOf(runtime).pending.size, 1);
  assert.equal(server.listenerCount('error'), 0);
  const [error] = await once(server, 'error') as [NodeJS.ErrnoException];
  assert.equal(error.code, 'EADDRINUSE');
  assert.equal(listenStateOf(runtime).pending.size, 0);
  await once(taken.close(), 'close');
});

test('listen() of a server that listens is refused by Node itself, and announced to nobody', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  events.length = 0;
  assert.throws(() => server.listen(0), { code: 'ERR_SERVER_ALREADY_LISTEN' });
  assert.deepEqual(events, []);
  await once(server.close(), 'close');
});

test('a server counts when it listens and takes connections; one that only looks whether a port is free never does', async () => {
  const state = listenStateOf(runtime);
  const [probe, real] = [net.createServer(), net.createServer(() => {})];
  const changed = new Promise<void>((resolve) => state.onChange(resolve));
  probe.listen(0, '127.0.0.1');
  real.listen(0, '127.0.0.1');
  assert.equal(state.begun, true);
  assert.equal(state.begunAsConfigured, true, 'the configured port is 0 here');
  await Promise.all([once(probe, 'listening'), once(real, 'listening')]);
  await changed;
  const { port } = real.address() as AddressInfo;
  assert.deepEqual(state.served(), [{ protocol: 'tcp', host: '127.0.0.1', port, name: '127.0.0.1:0', configured: true, own: true }]);
  probe.on('connection', () => {});
  assert.equal(state.served().length, 2, 'it takes connections now');
  real.close();
  assert.equal(state.served().length, 1, 'closed: not from the end of its last connection on');
  probe.close();
});

test('an inherited port becomes the descriptor of it', () => {
  const seen: ListenOptions[] = [];
  listen.inherited = { 8080: 7 };
  runtime.hooks.listen.tap('look', (_server, options) => {
    seen.push({ ...options });
    // It is not there, so something harmless in its place.
    if (options.fd === 7) {
      delete options.fd;
      options.port = 0;
    }
  });
  const server = net.createServer().listen(8080, '127.0.0.1');
  assert.deepEqual(seen[0], { fd: 7 });
  server.close();
  delete listen.inherited;
});
