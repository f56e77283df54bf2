import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';

test('a parent over IPC hears cluster-ready, can reload, and may go without harm', async (t) => {
  const cluster = await startCluster(t, 'life', { ready: false, flags: ['-w', '1'], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const heard: { action: string }[] = [];
  cluster.process.on('message', (message) => heard.push(message as { action: string }));
  await cluster.waitFor(() => heard.some(({ action }) => action === 'cluster-ready'));
  const { pid } = (await get(cluster.url)).json;
  cluster.process.send({ action: 'reload-worker' });
  await cluster.waitFor(/reloaded 1 workers/);
  assert.notEqual((await get(cluster.url)).json.pid, pid);
  cluster.process.disconnect();
  await cluster.waitFor(() => !cluster.process.connected);
  assert.equal((await get(cluster.url)).status, 200);
  assert.equal((await cluster.stop()).code, 0);
  await cluster.assertNothingLeft();
});

test('nobody reads stdout and stderr any more: the cluster serves on and stops with 0', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '1'] });
  cluster.process.stdout?.destroy();
  cluster.process.stderr?.destroy();
  const { pid } = (await get(`${cluster.url}/exit?code=1`)).json;
  await eventually(async () => (await get(cluster.url)).json.pid !== pid);
  assert.equal((await cluster.stop()).code, 0);
  await cluster.assertNothingLeft();
});

test('nor does a line that the app or the agent writes then end them', async (t) => {
  const line = (every = '') => `console.log('a line'); console.error('another'); ${every}`;
  const app = ownApp(t, {
    'agent.js': `setInterval(() => { ${line()} }, 20);`,
    'server.js': `require('node:http').createServer((request, response) => {
      ${line('response.end(JSON.stringify({ pid: process.pid }))')}
    }).listen(process.env.PORT);`,
  });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'] });
  const before = await cluster.status();
  cluster.process.stdout?.destroy();
  cluster.process.stderr?.destroy();
  for (let i = 0; i < 20; i++) assert.equal((await get(cluster.url)).json.pid, before.workers[0]?.pid);
  const { agent, workers } = await cluster.status();
  assert.deepEqual([agent?.pid, workers[0]?.pid], [before.agent?.pid, before.workers[0]?.pid]);
  assert.equal((await cluster.stop()).code, 0);
});
