import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { alone } from '../helpers/alone.js';
import { freePort } from '../helpers/cluster.js';
import { RawConnection, requestHead } from '../helpers/raw-client.js';

const get = (connection: RawConnection, path: string) => connection.send(requestHead('GET', path), ['GET'], 8_000)[0]!;
const idle = async (port: number, secure = false) => {
  const connection = new RawConnection({ port, secure });
  await get(connection, '/echo');
  return connection;
};
const within = (value: number, from: number, to: number) =>
  assert.ok(value >= from && value <= to, `${Math.round(value)} ms is not within ${from}..${to}`);

test('at a stop idle connections are closed after idleTimeout', async (t) => {
  const httpsPort = await freePort();
  const app = await alone(t, 'drain-app/server.js', { env: { HTTPS_PORT: String(httpsPort) } });
  await Promise.all(Array.from({ length: 20 }, (_, n) => idle(n % 2 ? app.port : httpsPort, n % 2 === 0)));
  within((await app.close('stop', 10_000)).took, 900, 1_400);
});

test('at a reload an idle connection stays for the announced time-out, and its next request is answered', async (t) => {
  const app = await alone(t, 'drain-app/server.js', { env: { KEEP_ALIVE: '1500' } });
  const [used, unused] = await Promise.all([idle(app.port), idle(app.port)]);
  const ended = app.close('reload', 20_000);
  await delay(1_200);
  assert.equal(unused.usable, true);
  assert.equal((await get(used, '/echo?late')).close, true);
  within((await ended).took, 1_400, 3_200);
});

test('connections that never sent anything are bounded too: plain, and a TLS handshake that never comes', async (t) => {
  const httpsPort = await freePort();
  const app = await alone(t, 'drain-app/server.js', { env: { KEEP_ALIVE: '500', HTTPS_PORT: String(httpsPort) } });
  for (const port of [app.port, httpsPort]) {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {});
    t.after(() => socket.destroy());
  }
  await delay(100);
  const { took, code } = await app.close('reload', 20_000);
  assert.equal(code, 0);
  within(took, 1_000, 7_000);
});

test('a server without a keep-alive time-out: idle connections are closed after 5 s, or half of the time', async (t) => {
  const app = await alone(t, 'drain-app/server.js', { env: { KEEP_ALIVE: '0' } });
  await idle(app.port);
  within((await app.close('reload', 4_000)).took, 1_900, 2_600);
});

test('a time-out longer than the deadline: idle connections go shortly before it', async (t) => {
  const app = await alone(t, 'drain-app/server.js', { env: { KEEP_ALIVE: '60000' } });
  await idle(app.port);
  within((await app.close('reload', 3_000)).took, 2_300, 2_900);
});
