import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

test('/readyz does not flap while single workers crash, hang, are reloaded and recycled; a quorum that is missed is told', async (t) => {
  const port = await freePort();
  const probe = `http://127.0.0.1:${port}/readyz`;
  const config = withConfig(t, { workers: 3, plugins: { 'health-check': { port, hangTimeout: 1_000 } } });
  const cluster = await startCluster(t, 'health-app', { flags: ['--config', config] });
  let probes = 0;
  const bad: string[] = [];
  let done = false;
  const probing = (async () => {
    while (!done) {
      const { status, text } = await get(probe);
      probes++;
      if (status !== 200) bad.push(text);
    }
  })();
  t.after(() => { done = true; });
  for (const [path, again] of [['/exit', /slot \d\) started/], ['/spin', /slot \d\) started/]] as const) {
    const from = cluster.output.length;
    get(`${cluster.url}${path}`).catch(() => {});
    await cluster.waitFor(again, 6_000, from);
  }
  assert.equal((await cluster.run('reload')).code, 0);
  done = true;
  await probing;
  assert.deepEqual(bad, []);
  assert.ok(probes > 50, String(probes));
  assert.equal((await cluster.stop()).code, 0);
});

test('a quorum above the number of ready workers is 503', async (t) => {
  const port = await freePort();
  const config = withConfig(t, { workers: 2, plugins: { 'health-check': { port, quorum: 2 } }, refork: { minDelay: 3_000 } });
  const cluster = await startCluster(t, 'health-app', { flags: ['--config', config] });
  assert.equal((await get(`http://127.0.0.1:${port}/readyz`)).status, 200);
  const from = cluster.output.length;
  get(`${cluster.url}/exit`).catch(() => {});
  await cluster.waitFor(/is forked again in 3000ms/, 3_000, from);
  const { status, json } = await get(`http://127.0.0.1:${port}/readyz`);
  assert.equal(status, 503);
  assert.deepEqual(json.reasons, ['1 of 2 workers needed are ready (1 of 2 run)']);
  assert.equal((await cluster.stop()).code, 0);
});
