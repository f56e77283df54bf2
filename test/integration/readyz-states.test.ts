import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

test('/livez, /readyz and /status from the start to the end: 503 while starting and from the first moment of closing', async (t) => {
  const port = await freePort();
  const probe = `http://127.0.0.1:${port}`;
  const config = withConfig(t, {
    workers: 2, plugins: { 'health-check': { port, status: true }, 'graceful-exit': { shutdownDelay: 500 } },
  });
  const cluster = await startCluster(t, 'health-app', { flags: ['--config', config], ready: false, env: { SLOW_START: '600' } });

  await eventually(async () => (await get(`${probe}/livez`)).status === 200);
  const starting = await get(`${probe}/readyz`);
  assert.equal(starting.status, 503);
  assert.deepEqual(starting.json.reasons, ['the service is starting']);

  await cluster.waitFor(/started on/);
  const running = await get(`${probe}/readyz`);
  assert.equal(running.status, 200, running.text);
  assert.equal(running.json.ready, true);
  assert.equal((await get(`${probe}/status`)).json.state, 'running');
  assert.equal((await get(`${probe}/reload`, { method: 'POST' })).status, 404, 'commands are the private socket\'s');
  assert.equal((await get(`${probe}/livez`, { method: 'POST' })).status, 405);

  cluster.signal('SIGTERM');
  await cluster.waitFor(/closing \(SIGTERM\)/);
  const closing = await get(`${probe}/readyz`);
  assert.equal(closing.status, 503);
  assert.deepEqual(closing.json.reasons, ['the service is closing']);
  assert.equal((await get(`${probe}/livez`)).status, 200);
  assert.equal((await get(cluster.url)).status, 200, 'the port is still open');
  assert.equal((await cluster.ended()).code, 0);
  await assert.rejects(get(`${probe}/livez`));
});
