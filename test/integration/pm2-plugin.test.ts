import assert from 'node:assert/strict';
import test from 'node:test';
import { freePortRow, startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';

test('with increment_var PORT each worker is ready as it serves its own port, at the start, at a reload and after a crash', async (t) => {
  const { dir } = ownApp(t, {
    'package.json': { name: 'own-ports' },
    'server.js': `require('node:http').createServer((request, response) => {
      if (request.url === '/crash') process.exit(3);
      response.end(JSON.stringify({ slot: process.env.NODE_APP_INSTANCE, port: process.env.PORT, pid: process.pid }));
    }).listen(process.env.PORT);`,
    '.clusterrc': { workers: 2, plugins: { pm2: { incrementVar: 'PORT' } } },
  });
  const port = await freePortRow(2);
  const cluster = await startCluster(t, dir, { port, deadline: 30_000 });
  const ask = async (slot: number) => (await get(`http://127.0.0.1:${port + slot}`)).json;
  const told = async () => [await ask(0), await ask(1)].map(({ slot, port: own }) => [slot, Number(own)]);
  assert.deepEqual(await told(), [['0', port], ['1', port + 1]]);
  assert.equal((await cluster.run('reload', [], 60_000)).code, 0);
  assert.deepEqual(await told(), [['0', port], ['1', port + 1]]);
  const { pid } = await ask(1);
  await get(`http://127.0.0.1:${port + 1}/crash`).catch(() => {});
  await eventually(async () => (await ask(1)).pid !== pid);
  assert.deepEqual(await told(), [['0', port], ['1', port + 1]]);
  assert.doesNotMatch(cluster.output, /does not listen on/);
  assert.equal((await cluster.stop(20_000)).code, 0);
});

test('an app that was written for PM2 has its instance, is ready when it says so, and closes by the message', async (t) => {
  const cluster = await startCluster(t, 'pm2-app', { deadline: 30_000 });
  const seen = new Map<unknown, unknown>();
  await eventually(async () => {
    const { instance, port } = (await get(cluster.url)).json;
    seen.set(instance, port);
    return seen.size === 2;
  });
  assert.deepEqual([...seen].sort(), [['0', '9000'], ['1', '9001']]);
  assert.doesNotMatch(cluster.output, /has not come/);
  assert.equal((await cluster.run('reload', [], 60_000)).code, 0);
  assert.equal((await cluster.stop(20_000)).code, 0);
  assert.match(cluster.output, /shutdown of 0/);
  assert.match(cluster.output, /shutdown of 1/);
});

test('an app that listens and never says that it is ready is taken for ready after listenTimeout, with a warning', async (t) => {
  const cluster = await startCluster(t, 'pm2-app', { flags: ['-w', '1'], env: { SAYS: 'nothing' }, deadline: 30_000 });
  assert.match(cluster.stderr, /WARN .*process\.send\('ready'\) has not come within 500 ms of the listen: taken for ready/);
  assert.equal((await get(cluster.url)).status, 200);
  assert.equal((await cluster.stop(20_000)).code, 0);
});
