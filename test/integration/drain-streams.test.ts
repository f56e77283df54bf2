import assert from 'node:assert/strict';
import http2 from 'node:http2';
import net from 'node:net';
import test from 'node:test';
import { once as event } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { alone } from '../helpers/alone.js';
import { freePort } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { once, Tally } from '../helpers/raw-client.js';
import { Http2Client, RetrySafe } from '../helpers/raw-client-streams.js';

test('HTTP/2: streams under way are answered, GOAWAY turns the client away, nothing is lost', async (t) => {
  const port = await freePort();
  const app = await alone(t, 'drain-app/server.js', { env: { HTTP2_PORT: String(port) } });
  const tally = new Tally();
  const client = new Http2Client({ port, secure: true }, tally);
  const slow = [1, 2, 3].map((n) => client.get(`/slow?ms=${300 * n}`, 5_000));
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false }).on('error', () => {});
  await event(session, 'connect');
  await delay(100);
  const goaway = event(session, 'goaway');
  const ended = app.close('reload', 10_000);
  assert.equal((await goaway)[0], 0);
  const bodies = await Promise.all(slow);
  assert.deepEqual(bodies.map(String), [300, 600, 900].map((ms) => `/slow?ms=${ms}`));
  const { code, took } = await ended;
  assert.equal(code, 0);
  assert.ok(took < 1_600, `${took} ms`);
});

test('HTTP/2: a flood of short requests meets the drain', async (t) => {
  const port = await freePort();
  const app = await alone(t, 'drain-app/server.js', { env: { HTTP2_PORT: String(port) } });
  const tally = new Tally();
  const client = new Http2Client({ port, secure: true }, tally);
  await client.get('/echo', 5_000);
  let going = true;
  let answered = 0;
  const flood = async () => {
    while (going) {
      try {
        await client.get('/echo', 5_000);
        answered++;
      } catch (error) {
        if (error instanceof RetrySafe) continue;
        // The port is closed: there is no other worker in this test.
        if ((error as { kind?: string }).kind !== 'refused') throw error;
        return;
      }
    }
  };
  const all = Promise.all([flood(), flood(), flood(), flood()]);
  await eventually(() => answered > 50);
  const ended = app.close('reload', 10_000);
  await all;
  going = false;
  assert.equal((await ended).code, 0);
});

test('HTTP/1 on an HTTP/2 server, and https', async (t) => {
  const [http2Port, httpsPort] = [await freePort(), await freePort()];
  const app = await alone(t, 'drain-app/server.js', { env: { HTTP2_PORT: String(http2Port), HTTPS_PORT: String(httpsPort) } });
  const answers = [http2Port, httpsPort]
    .map((port) => once({ port, secure: true }, 'GET', '/slow?ms=400', { headers: { Connection: 'keep-alive' } }));
  await delay(150);
  const ended = app.close('reload', 10_000);
  for (const { body, close } of await Promise.all(answers)) {
    assert.equal(body.toString(), '/slow?ms=400');
    assert.equal(close, true);
  }
  assert.equal((await ended).code, 0);
});

test('a connection of a plain TCP server that is used has the whole time', async (t) => {
  const port = await freePort();
  const app = await alone(t, 'drain-app/server.js', { env: { TCP_PORT: String(port) } });
  const socket = net.connect(port, '127.0.0.1').on('error', () => {});
  await event(socket, 'connect');
  socket.write('hello');
  await event(socket, 'data');
  const ended = app.close('reload', 4_000);
  for (let at = 0; at < 4; at++) {
    await delay(600);
    socket.write('echo');
    assert.equal(String((await event(socket, 'data'))[0]), 'echo');
  }
  const { code, took } = await ended;
  assert.equal(code, 0);
  assert.ok(took > 3_000 && took < 4_000, `${took} ms`);
});
