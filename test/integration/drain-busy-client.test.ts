import assert from 'node:assert/strict';
import http2 from 'node:http2';
import net from 'node:net';
import test, { type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { alone } from '../helpers/alone.js';
import { freePort } from '../helpers/cluster.js';

/** What a client says arrives so many ms later, as of one whose event loop is busy: the connection stands at once. */
async function slowWay(t: TestContext, to: number, ms: number): Promise<{ port: number; connected: Promise<void> }> {
  let isConnected = (): void => {};
  const connected = new Promise<void>((resolve) => { isConnected = resolve; });
  const server = net.createServer((client) => {
    const up = net.connect(to, '127.0.0.1', () => isConnected());
    client.on('data', (bytes) => { setTimeout(() => { up.write(bytes); }, ms); }).on('end', () => { setTimeout(() => { up.end(); }, ms); });
    up.pipe(client);
    for (const socket of [client, up]) socket.on('error', () => {});
    up.on('close', () => client.destroy());
  });
  const port = await freePort();
  await new Promise<void>((resolve) => { server.listen(port, '127.0.0.1', resolve); });
  t.after(() => server.close());
  return { port, connected };
}

const asked = (session: http2.ClientHttp2Session, path: string): Promise<string> => new Promise((resolve, reject) => {
  let text = '';
  const stream = session.request({ ':path': path }).on('error', reject).setEncoding('utf8');
  stream.on('data', (data: string) => { text += data; }).on('end', () => resolve(text));
});

for (const secure of [false, true]) {
  for (const ms of [300, 3_000]) {
    const way = secure ? ', under TLS' : '';
    test(`a first request over HTTP/2 that takes ${ms} ms to arrive is answered by a worker that drains${way}`, async (t) => {
      const other = await freePort();
      const app = await alone(t, 'drain-app/server.js', { env: { [secure ? 'HTTP2_PORT' : 'HTTP2_CLEAR_PORT']: String(other) } });
      const way = await slowWay(t, other, ms);
      const session = http2.connect(`http${secure ? 's' : ''}://127.0.0.1:${way.port}`, { rejectUnauthorized: false }).on('error', () => {});
      const answer = asked(session, '/echo');
      await (secure ? new Promise((resolve) => { session.once('connect', resolve); }) : way.connected);
      await delay(50);
      const ended = app.close('reload', 20_000);
      assert.equal(await answer, '/echo');
      const { code, took } = await ended;
      assert.equal(code, 0);
      assert.ok(took < ms * 3 + 2_000, `${took} ms`);
    });
  }
}

test('a stream that is on its way as GOAWAY is sent is answered', async (t) => {
  const clear = await freePort();
  const app = await alone(t, 'drain-app/server.js', { env: { HTTP2_CLEAR_PORT: String(clear) } });
  const way = await slowWay(t, clear, 700);
  const session = http2.connect(`http://127.0.0.1:${way.port}`).on('error', () => {});
  assert.equal(await asked(session, '/echo'), '/echo');
  const ended = app.close('reload', 20_000);
  // Sent before the client could know, and read by the worker long after.
  const late = await Promise.all([asked(session, '/pid'), asked(session, '/slow?ms=300')]);
  assert.match(late[0], /^\d+$/);
  assert.equal(late[1], '/slow?ms=300');
  await assert.rejects(async () => asked(session, '/echo'), { code: 'ERR_HTTP2_GOAWAY_SESSION' });
  assert.equal((await ended).code, 0);
});

test('a client that never says anything over HTTP/2 is let go, one that came while draining too', async (t) => {
  const clear = await freePort();
  const app = await alone(t, 'drain-app/server.js', { env: { HTTP2_CLEAR_PORT: String(clear) } });
  const silent = net.connect(clear, '127.0.0.1').on('error', () => {});
  await new Promise((resolve) => { silent.once('data', resolve); });
  const { code, took } = await app.close('reload', 20_000);
  assert.equal(code, 0);
  assert.ok(took > 4_500 && took < 8_000, `${took} ms`);
});
