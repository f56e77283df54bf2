import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';

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
