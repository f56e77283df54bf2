import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { alone } from '../helpers/alone.js';
import { once, RawConnection, requestHead } from '../helpers/raw-client.js';
import { Load } from '../helpers/load.js';

const TIMEOUT = 10_000;
const get = (connection: RawConnection, path: string) => connection.send(requestHead('GET', path), ['GET'], 8_000)[0]!;

test('what is in flight is answered with Connection: close, then the process ends', async (t) => {
  const app = await alone(t, 'drain-app/server.js');
  const connection = new RawConnection({ port: app.port });
  const answer = get(connection, '/slow?ms=600');
  await delay(100);
  const ended = app.close('reload', TIMEOUT);
  const { body, close } = await answer;
  const answeredAt = performance.now();
  assert.equal(body.toString(), '/slow?ms=600');
  assert.equal(close, true);
  const { code, at } = await ended;
  assert.equal(code, 0);
  assert.ok(at - answeredAt < 300, `ended ${at - answeredAt} ms after the last answer`);
});

test('a pipelined batch is answered whole, only its last answer says close', async (t) => {
  const app = await alone(t, 'drain-app/server.js');
  for (const when of ['under way', 'arriving']) {
    const connection = new RawConnection({ port: app.port });
    await get(connection, '/echo');
    const paths = ['/slow?ms=500', '/echo?a', '/slow?ms=100', '/echo?b', '/echo?c'];
    const batch = () => connection.send(paths.map((path) => requestHead('GET', path)).join(''), paths.map(() => 'GET'), 8_000);
    const early = when === 'under way' ? batch() : [];
    if (when === 'under way') {
      await delay(100);
      void app.close('reload', TIMEOUT);
    }
    await delay(50);
    const answers = await Promise.all(when === 'under way' ? early : batch());
    assert.deepEqual(answers.map(({ body }) => body.toString()), paths);
    if (when === 'arriving') assert.deepEqual(answers.map(({ close }) => close), [false, false, false, false, true]);
    // The one under way may have been answered before: then the connection stays, and its next answer closes it.
    if (when === 'under way') {
      if (connection.usable) assert.equal((await get(connection, '/echo')).close, true);
      break;
    }
  }
});

test('a pipelined batch that arrives while draining', async (t) => {
  const app = await alone(t, 'drain-app/server.js');
  const connection = new RawConnection({ port: app.port });
  await get(connection, '/echo');
  const hold = once({ port: app.port }, 'GET', '/slow?ms=700');
  await delay(50);
  const ended = app.close('reload', TIMEOUT);
  await delay(100);
  const paths = ['/echo?1', '/slow?ms=50', '/echo?2', '/echo?3', '/echo?4', '/echo?5', '/echo?6', '/echo?7'];
  const answers = await Promise.all(connection.send(paths.map((path) => requestHead('GET', path)).join(''), paths.map(() => 'GET'), 8_000));
  assert.deepEqual(answers.map(({ body }) => body.toString()), paths);
  assert.deepEqual(answers.map(({ close }) => close), paths.map((_, at) => at === paths.length - 1));
  await hold;
  assert.equal((await ended).code, 0);
});

test('an upload in progress and a streaming answer are finished', async (t) => {
  const app = await alone(t, 'drain-app/server.js');
  const load = new Load({ stream: 2 }, { http: { port: app.port } });
  const upload = new RawConnection({ port: app.port });
  const [answer] = upload.send(requestHead('POST', '/upload', { 'Content-Length': 300_000 }), ['POST'], 8_000);
  upload.socket.write(Buffer.alloc(100_000));
  await delay(100);
  const ended = app.close('reload', TIMEOUT);
  await delay(300);
  upload.socket.write(Buffer.alloc(200_000));
  assert.match((await answer!).body.toString(), /^300000 /);
  await load.stop();
  assert.equal(load.lost, 0, load.report());
  assert.equal(load.answered, 2);
  assert.equal((await ended).code, 0);
});

test('an app that says keep-alive itself does not hold the drain up', async (t) => {
  const app = await alone(t, 'drain-app/server.js');
  const connection = new RawConnection({ port: app.port });
  assert.equal((await get(connection, '/keep-alive')).close, false);
  const hold = once({ port: app.port }, 'GET', '/slow?ms=400');
  await delay(50);
  const ended = app.close('reload', TIMEOUT);
  await delay(50);
  const { close, headers } = await get(connection, '/keep-alive');
  assert.equal(close, true);
  assert.equal(headers.get('keep-alive'), undefined);
  await hold;
  assert.ok((await ended).took < 1_500);
});

test('the deadline holds: a request that does not end is cut before it, the exit is a clean one', async (t) => {
  const app = await alone(t, 'drain-app/server.js');
  const never = once({ port: app.port }, 'GET', '/slow?ms=60000').catch((error: Error) => error);
  await delay(100);
  const { code, took } = await app.close('reload', 2_000);
  assert.equal(code, 0);
  // The master kills 500 ms after it.
  assert.ok(took < 2_400 && took > 1_500, `${took} ms`);
  assert.ok(await never instanceof Error);
});

test('reports what it waits for: at once, every 500 ms, and when nobody waits any more', async (t) => {
  const app = await alone(t, 'drain-app/server.js');
  const connections = [1, 2, 3].map(() => new RawConnection({ port: app.port }));
  for (const connection of connections) await get(connection, '/echo');
  const requests = connections.map((connection) => get(connection, '/slow?ms=1900'));
  // Sent behind them, so that the app has all three when it is answered.
  await once({ port: app.port }, 'GET', '/echo');
  const { took } = await app.close('reload', TIMEOUT);
  await Promise.all(requests);
  const reports = app.messages.filter(({ type }) => type === 'child.waiting');
  const waiting = reports.slice(0, -1).map(({ data }) => [data?.requests, data?.sockets]);
  assert.deepEqual(waiting, waiting.map(() => [3, 3]));
  assert.ok(waiting.length >= 3 && waiting.length <= took / 500 + 1, `${waiting.length} reports in ${took} ms`);
  assert.equal(reports.at(-1)?.data?.requests, 0);
});
