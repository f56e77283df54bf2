import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { Load } from '../helpers/load.js';
import { ownApp } from '../helpers/own-app.js';

const server = (options: string, before = '') => `${before}
require('node:http').createServer((request, response) => response.end(request.url)).listen({ port: process.env.PORT, ${options} });`;

for (const option of ['exclusive: true', 'reusePort: true', 'exclusive: true, host: "127.0.0.1"']) {
  test(`a server that listens with ${option} on the configured port is served by all workers, and reloads lose nothing`, async (t) => {
    const app = ownApp(t, { 'server.js': server(option) });
    const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'] });
    const load = new Load({ keepAlive: 2, perConnection: 2 }, { http: { port: cluster.port }, pause: 3 }, t);
    for (let n = 0; n < 2; n++) assert.equal((await cluster.run('reload')).code, 0);
    await load.stop();
    assert.equal(load.lost, 0, load.report());
    assert.ok(load.answered > 100);
    assert.equal((await cluster.status()).address, cluster.url);
  });
}

test('where nobody names a port, an http server may have one of its own with it', async (t) => {
  const own = await freePort();
  const app = ownApp(t, { 'server.js': server(`exclusive: true, port: ${own}`) });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'], port: false, env: { PORT: undefined } });
  assert.equal((await cluster.status()).address, `http://127.0.0.1:${own}`);
});

test('elsewhere exclusive is exclusive: who has the port leads, and the other workers learn that from the error', async (t) => {
  const leader = await freePort();
  const before = `
const net = require('node:net');
net.createServer(() => {}).on('error', ({ code }) => console.log('follower', code))
  .listen({ port: ${leader}, exclusive: true }, () => console.log('leader'));`;
  const app = ownApp(t, { 'server.js': server('backlog: 128', before) });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'] });
  await cluster.waitFor(() => /^leader$/m.test(cluster.output) && /^follower EADDRINUSE$/m.test(cluster.output));
  const begun = performance.now();
  assert.equal((await cluster.run('reload')).code, 0);
  assert.ok(performance.now() - begun < 4_500, 'nobody is expected to lead');
});

test('dev: the page that shows why an app does not start gives the port back to a server that wants it exclusively', async (t) => {
  const app = ownApp(t, { 'server.js': 'throw new Error("not yet");' });
  const cluster = await startCluster(t, app.dir, { command: 'dev', ready: false });
  await cluster.waitFor(/not yet/);
  await eventually(async () => (await get(cluster.url).catch(() => ({ status: 0 }))).status === 500);
  app.write('server.js', server('exclusive: true, host: "127.0.0.1"'));
  await eventually(async () => (await get(`${cluster.url}/mine`).catch(() => ({ text: '' }))).text === '/mine');
  app.write('server.js', 'throw new Error("again");');
  await cluster.waitFor(/again/);
  await eventually(async () => (await get(cluster.url).catch(() => ({ status: 0 }))).status === 500);
  app.write('server.js', server('exclusive: true'));
  await eventually(async () => (await get(`${cluster.url}/mine`).catch(() => ({ text: '' }))).text === '/mine');
  assert.equal((await cluster.stop()).code, 0);
});
