import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster, type TestCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

async function start(t: { after(fn: () => unknown): void }, execArgv: string[]): Promise<TestCluster> {
  const config = withConfig(t, { workers: 1, execArgv });
  const cluster = await startCluster(t, 'health-app', { flags: ['--config', config] });
  // The log shows the last samples: there is to be one.
  await cluster.waitFor(() => true);
  return cluster;
}

async function dieOf(cluster: TestCluster, path: string): Promise<string> {
  get(`${cluster.url}${path}`).catch(() => {});
  await cluster.waitFor(/app_worker#2:\d+ \(slot 0\) started/, 12_000);
  const { workers, exits } = await cluster.status();
  const cause = workers[0]?.lastExit?.cause ?? 'none';
  assert.deepEqual(exits, { [cause]: 1 }, 'counted by cause');
  return cause;
}

test('a worker whose heap is full dies of outOfMemory, counted and logged with its last samples', async (t) => {
  const cluster = await start(t, ['--max-old-space-size=64']);
  assert.equal(await dieOf(cluster, '/oom'), 'outOfMemory');
  assert.match(cluster.output, /worker#0 \(pid \d+\) ran out of memory: its JavaScript heap is full/);
  assert.match(cluster.output, /last samples:\n\s+[\d.]+ s before: rss [\d.]+ MB, heap [\d.]+ MB of [\d.]+ MB, \d+ requests/);
  assert.equal((await cluster.stop()).code, 0);
});

for (const [name, execArgv] of [['with little heap', ['--max-old-space-size=64']], ['with the usual heap', []]] as const) {
  test(`process.abort() ${name} is a crash, though it dies of the same signal`, async (t) => {
    const cluster = await start(t, [...execArgv]);
    assert.equal(await dieOf(cluster, '/abort'), 'crash');
    assert.equal((await cluster.stop()).code, 0);
  });
}

test('kill -9 from outside is a crash', async (t) => {
  const cluster = await start(t, []);
  process.kill((await get(cluster.url)).json.pid as number, 'SIGKILL');
  assert.equal(await dieOf(cluster, '/'), 'crash');
  assert.equal((await cluster.stop()).code, 0);
});
