import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { parsePrometheus } from '../helpers/prometheus-text.js';
import { withConfig } from '../helpers/with-config.js';

/** With an agent, so that every family has a sample. */
const scrape = async (port: number) => parsePrometheus((await get(`http://127.0.0.1:${port}/metrics`)).text);

test('/metrics beside health-check: valid Prometheus text; requests, exits, '
  + 'reforks and reloads are counted over all processes of a slot', async (t) => {
  const port = await freePort();
  const config = withConfig(t, { workers: 2, plugins: { 'health-check': { port } } });
  const cluster = await startCluster(t, 'health-agent', { flags: ['--config', config] });
  for (let n = 0; n < 40; n++) await get(cluster.url);
  const sum = (families: Awaited<ReturnType<typeof scrape>>, name: string) =>
    (families.get(name)?.samples ?? []).reduce((total, { value }) => total + value, 0);
  await eventually(async () => sum(await scrape(port), 'hatchery_worker_requests_total') === 40, 4_000);

  const first = await scrape(port);
  assert.ok(first.size >= 24, [...first.keys()].join());
  // No worker has ended, their number is no range (adaptive-load.test.ts), and nothing is shed (overload-acceptor.test.ts).
  const without = new RegExp('^hatchery_(?:worker(?:_exits_total|s_min|s_max|_moves_.*total|_overloaded|_request_wait_seconds)'
    + '|requests_shed_total|overloaded_connections_total|connections_picked_total)$');
  for (const [name, { samples }] of first) if (!without.test(name)) assert.ok(samples.length > 0, name);
  assert.deepEqual(first.get('hatchery_worker_resident_memory_bytes')?.samples.map(({ labels }) => labels.slot), ['0', '1']);
  assert.ok(sum(first, 'hatchery_worker_resident_memory_bytes') > 2 * 20 * 2 ** 20);
  assert.ok(sum(first, 'hatchery_worker_cpu_seconds_total') > 0);
  assert.deepEqual(first.get('hatchery_worker_state')?.samples.filter(({ value }) => value === 1).map(({ labels }) => labels.state),
    ['ready', 'ready']);

  assert.equal((await cluster.run('reload')).code, 0);
  const { workers } = await cluster.status();
  const from = cluster.output.length;
  process.kill(workers[0]?.pid ?? 0, 'SIGKILL');
  await cluster.waitFor(/slot 0\) started/, 5_000, from);
  const second = await scrape(port);
  assert.equal(sum(second, 'hatchery_worker_requests_total'), 40, 'a counter does not fall with its process');
  assert.equal(sum(second, 'hatchery_reforks_total'), 1);
  assert.deepEqual(second.get('hatchery_reloads_total')?.samples,
    [{ labels: { result: 'ok' }, value: 1 }, { labels: { result: 'aborted' }, value: 0 }]);
  assert.deepEqual(second.get('hatchery_worker_exits_total')?.samples.find(({ labels }) => labels.cause === 'crash'),
    { labels: { slot: '0', cause: 'crash' }, value: 1 });
  assert.deepEqual(second.get('hatchery_worker_restarts_total')?.samples.map(({ value }) => value), [2, 1]);
  assert.equal((await cluster.stop()).code, 0);
});

test('metrics with a port of its own serves nothing else there', async (t) => {
  const port = await freePort();
  const config = withConfig(t, { workers: 1, plugins: { metrics: { port }, 'health-check': false } });
  const cluster = await startCluster(t, 'hello', { flags: ['--config', config] });
  const answer = await get(`http://127.0.0.1:${port}/metrics`);
  assert.equal(answer.status, 200);
  await eventually(async () => (await scrape(port)).get('hatchery_worker_resident_memory_bytes')?.samples.length === 1);
  assert.equal((await get(`http://127.0.0.1:${port}/status`)).status, 404);
  assert.equal((await cluster.stop()).code, 0);
});

test('metrics: false beside health-check has no /metrics', async (t) => {
  const port = await freePort();
  const config = withConfig(t, { workers: 1, plugins: { metrics: false, 'health-check': { port } } });
  const cluster = await startCluster(t, 'hello', { flags: ['--config', config] });
  assert.equal((await get(`http://127.0.0.1:${port}/metrics`)).status, 404);
  assert.equal((await cluster.stop()).code, 0);
});
