import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';

test('SIGTTIN adds a worker, SIGTTOU takes one away, never the last', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '1'] });
  const count = async () => (await cluster.status()).workers.filter((worker) => worker.state === 'ready').length;
  cluster.signal('SIGTTIN');
  await cluster.waitFor(/\(slot 1\) started/);
  assert.equal(await count(), 2);
  cluster.signal('SIGTTOU');
  await cluster.waitFor(/\(slot 1\) exited with code 0/);
  const from = cluster.output.length;
  cluster.signal('SIGTTOU');
  await get(cluster.url);
  assert.equal(await count(), 1);
  assert.doesNotMatch(cluster.output.slice(from), /exited/);
});

test('SIGHUP reloads', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '1'] });
  const { pid } = (await get(cluster.url)).json;
  cluster.signal('SIGHUP');
  await cluster.waitFor(/reloaded 1 workers/);
  assert.notEqual((await get(cluster.url)).json.pid, pid);
});

test('what comes while it starts or reloads waits for its turn, and is not lost', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '1'], env: { BOOT_DELAY: '400' }, ready: false });
  await cluster.waitFor(/agent_worker#1:\d+ started/);
  cluster.signal('SIGTTIN');
  await cluster.waitFor(/\(slot 1\) started/);
  cluster.signal('SIGHUP');
  await cluster.waitFor(/reloading 2 workers, generation 2/);
  cluster.signal('SIGTTIN');
  cluster.signal('SIGHUP');
  await cluster.waitFor(/from 2 to 3 workers/);
  await cluster.waitFor(/reloaded . workers in \d+ms \(generation 3\)/);
  assert.doesNotMatch(cluster.output, /ERROR|refused/);
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
  test(`${signal} closes: the request in flight is answered, exit 0`, async (t) => {
    const cluster = await startCluster(t, 'life', { flags: ['-w', '2'] });
    const slow = get(`${cluster.url}/pid?delay=500`);
    await get(cluster.url);
    cluster.signal(signal);
    assert.equal((await slow).status, 200);
    assert.equal((await cluster.ended()).code, 0);
    await cluster.assertNothingLeft();
  });
}

test('a second signal hurries; the same one twice within a moment is one press of Ctrl-C', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '1'] });
  const slow = get(`${cluster.url}/pid?delay=20000`, { deadline: 30_000 }).then(() => 'answered', () => 'cut');
  await get(cluster.url);
  cluster.signal('SIGINT');
  cluster.signal('SIGINT');
  await cluster.waitFor(/closing 1 worker/);
  assert.doesNotMatch(cluster.output, /killing what is left/);
  const started = performance.now();
  await cluster.waitFor(() => performance.now() - started > 600);
  cluster.signal('SIGINT');
  assert.equal((await cluster.ended(2_000)).code, 0);
  assert.equal(await slow, 'cut');
  await cluster.assertNothingLeft();
});

test('a worker that outlives its deadline is killed with everything it has started', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '1'], env: { CLUSTER_START_TIMEOUT: '5000' } });
  const { child } = (await get(`${cluster.url}/child`)).json;
  await get(`${cluster.url}/loop`);
  cluster.signal('SIGTERM');
  await cluster.waitFor(/closing 1 worker/);
  const started = performance.now();
  await cluster.waitFor(() => performance.now() - started > 600);
  cluster.signal('SIGTERM');
  assert.equal((await cluster.ended(3_000)).code, 0);
  assert.deepEqual(cluster.processes().filter(({ pid }) => pid === child), []);
  await cluster.assertNothingLeft();
});
