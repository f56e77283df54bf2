import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { freePort, startCluster, type TestCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

async function withPort(t: TestContext, options: object = {}): Promise<{ cluster: TestCluster; port: number; probe: string }> {
  const port = await freePort();
  const config = withConfig(t, { workers: 1, plugins: { 'health-check': { port, ...options } } });
  return { cluster: await startCluster(t, 'health-app', { flags: ['--config', config] }), port, probe: `http://127.0.0.1:${port}` };
}

/** What a client gets for these bytes. */
const statusOf = (port: number, head: string): Promise<number> => new Promise((resolve, reject) => {
  const socket = connect(port, '127.0.0.1', () => socket.write(`${head}\r\nConnection: close\r\n\r\n`));
  socket.setEncoding('utf8').on('data', (text: string) => resolve(Number(text.split(' ')[1]))).on('error', reject);
});
const forName = (port: number, host: string): Promise<number> => statusOf(port, `GET /livez HTTP/1.1\r\nHost: ${host}`);

test('/status is on the health port only when it is asked for, and tells no error\'s text', async (t) => {
  const { probe } = await withPort(t);
  assert.equal((await get(`${probe}/status`)).status, 404);
  assert.equal((await get(`${probe}/metrics`)).status, 200);

  const asked = await withPort(t, { status: true });
  assert.equal((await get(`${asked.cluster.url}/oops`)).status, 404);
  const told = await get(`${asked.probe}/status`);
  assert.equal(told.json.state, 'running');
  assert.doesNotMatch(told.text, /"error"/);
});

test('on a loopback address a name that leads there from somebody\'s page is refused; hosts allows names', async (t) => {
  const { port } = await withPort(t);
  const good = [`127.0.0.1:${port}`, 'localhost', `localhost:${port}`, `[::1]:${port}`, '10.0.0.7'];
  for (const host of good) assert.equal(await forName(port, host), 200, host);
  for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', 'localhost.evil.example']) {
    assert.equal(await forName(port, host), 403, host);
  }
  const named = await withPort(t, { hosts: ['Probe.example'] });
  assert.equal(await forName(named.port, 'probe.example:80'), 200);
  assert.equal(await forName(named.port, 'evil.example'), 403);
});

test('requests that are never finished use up nobody\'s place', async (t) => {
  const { port, probe } = await withPort(t);
  const halves: Socket[] = [];
  t.after(() => { for (const socket of halves) socket.destroy(); });
  for (let n = 0; n < 600; n++) {
    const socket = connect(port, '127.0.0.1', () => socket.write('GET /livez HTTP/1.1\r\nHost: 127'));
    socket.on('error', () => {});
    halves.push(socket);
    if (n % 50 === 49) assert.equal((await get(`${probe}/livez`, { deadline: 2_000 })).status, 200, `after ${n} halves`);
  }
});

test('a path that is none is 400, and no line in the log', async (t) => {
  const { cluster, port } = await withPort(t);
  const before = cluster.output.length;
  for (const path of ['http://[', 'http://a:99999/', '//']) {
    const status = await statusOf(port, `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1`);
    assert.ok([400, 404].includes(status), `${path}: ${status}`);
  }
  assert.equal(cluster.output.length, before);
});
