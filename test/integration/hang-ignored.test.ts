import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

test('a workerUnresponsive tap decides: "ignore" leaves the worker alone, and asks again a period later', async (t) => {
  const config = withConfig(t, {
    workers: 1, plugins: { 'health-check': { hangTimeout: 1_000 }, [fixture('health-app/leave-alone.mjs')]: true },
  });
  const cluster = await startCluster(t, 'health-app', { flags: ['--config', config] });
  const { pid } = (await get(cluster.url)).json;
  await get(`${cluster.url}/block?ms=6000`);
  const asked = cluster.output.match(/asked about worker#0, silent for long/g) ?? [];
  assert.ok(asked.length >= 2, cluster.output);
  assert.match(cluster.output, /left alone, as a workerUnresponsive tap says/);
  assert.equal((await get(cluster.url)).json.pid, pid);
  assert.equal((await cluster.stop()).code, 0);
});
