import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, startCluster, type TestCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { unsuited } from '../helpers/skips.js';
import { waits } from '../helpers/standby.js';

/** Connects to its port to see whether somebody serves it, and goes to another one then, as `serve` does. */
const APP = `
import net from 'node:net';
import http from 'node:http';
const wanted = Number(process.env.WANTED ?? process.env.PORT);
const taken = (host) => new Promise((resolve) => {
  const socket = new net.Socket();
  socket.once('error', (error) => { console.log('probe', error.code); socket.destroy(); resolve(false); });
  socket.connect(wanted, host, () => { socket.end(); resolve(true); });
});
const port = await taken('localhost') || await taken('127.0.0.1') ? 0 : wanted;
http.createServer((request, response) => {
  if (request.url !== '/self') return response.end('served');
  http.get({ port: wanted, path: '/', agent: false }, (answer) => { response.end('self ' + answer.statusCode); })
    .on('error', (error) => { response.end(error.code); });
}).listen(port);
`;

const LINUX = process.platform === 'linux' ? false : unsuited.linux;

async function servesOnly(cluster: TestCluster, port: number): Promise<void> {
  const { workers, addresses } = await cluster.status();
  assert.equal(workers.length, 3);
  assert.deepEqual(addresses, [`http://127.0.0.1:${port}`], cluster.output);
  assert.equal((await get(`http://127.0.0.1:${port}`)).text, 'served');
}

for (const [what, named] of [['the configured port', true], ['a port of its own', false]] as const) {
  test(`an app that looks by connecting whether ${what} is free: all workers serve it, and after reloads`, { skip: LINUX }, async (t) => {
    const { dir } = ownApp(t, { 'app.mjs': APP });
    const own = await freePort();
    const cluster = await startCluster(t, dir, { flags: ['-w', '3'], ...(named ? {} : { port: false, env: { WANTED: String(own) } }) });
    const port = named ? cluster.port : own;
    await servesOnly(cluster, port);
    for (const generation of [2, 3]) {
      assert.match((await cluster.run('reload')).stdout, new RegExp(`generation ${generation}`));
      await servesOnly(cluster, port);
    }
    assert.equal((await get(`http://127.0.0.1:${port}/self`)).text, 'self 200', 'whoever is ready may');
    assert.equal((await cluster.stop()).code, 0);
  });
}

test('a port that another program serves is found taken', async (t) => {
  const { dir } = ownApp(t, { 'app.mjs': APP });
  const other = await startCluster(t, ownApp(t, { 'app.mjs': APP }).dir, { flags: ['-w', '1'] });
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'], port: false, env: { WANTED: String(other.port) } });
  const { addresses } = await cluster.status();
  assert.notDeepEqual(addresses, [`http://127.0.0.1:${other.port}`]);
  assert.doesNotMatch(cluster.output, /probe ECONNREFUSED/);
});

test('a worker that stands by reaches what others serve once it has loaded', { skip: LINUX }, async (t) => {
  const { dir } = ownApp(t, {
    // The second server is one that it will not open before it is in a slot.
    'app.js': `
      const { PORT, SECOND } = process.env;
      const serve = () => require('node:http').createServer((request, response) => response.end());
      serve().listen(PORT, () => serve().listen(SECOND));
      const reached = function () { console.log('reached by', process.pid); this.end(); };
      setInterval(() => require('node:net').connect(SECOND, '127.0.0.1', reached).on('error', () => {}), 20).unref();`,
    '.clusterrc': { standby: 1 },
  });
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'], env: { SECOND: String(await freePort()) } });
  const { pid } = await waits(cluster);
  await cluster.waitFor(new RegExp(`reached by ${pid}\n`));
  await cluster.stop();
});
