import assert from 'node:assert/strict';
import test from 'node:test';
import { residentBytes, startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

test('messages to a worker that does not read have a bound; what is dropped is said and counted, and it reads on later', async (t) => {
  const config = withConfig(t, { workers: 3, agent: false, plugins: { 'health-check': { hangTimeout: 60_000 } } });
  const cluster = await startCluster(t, 'hostile', { env: { HOSTILE_SHUT: '1' }, flags: ['--config', config] });
  const { workers } = await cluster.status();
  const stopped = workers.find(({ slot }) => slot === 1)!;
  process.kill(stopped.pid, 'SIGSTOP');
  const before = residentBytes(cluster.pid);
  // One of them waits for the worker that is stopped, which gets no other.
  for (let n = 0; n < 3; n++) void get(`${cluster.url}/broadcast?ms=4000`, { deadline: 30_000 }).catch(() => {});
  await cluster.waitFor(() => cluster.output.includes(`:${stopped.pid} (slot 1), which does not read, are dropped`), 15_000);
  let most = 0;
  for (const until = performance.now() + 4_000; performance.now() < until;) {
    await get(cluster.url, { deadline: 5_000 });
    most = Math.max(most, residentBytes(cluster.pid));
  }
  t.diagnostic(`${Math.round((most - before) / 2 ** 20)} MiB more`);
  assert.ok(most - before < 200 * 2 ** 20, `${Math.round((most - before) / 2 ** 20)} MiB more`);
  const now = (await cluster.status()).workers.find(({ pid }) => pid === stopped.pid);
  assert.ok((now?.dropped ?? 0) > 100, `dropped: ${now?.dropped}`);
  process.kill(stopped.pid, 'SIGCONT');
  // As soon as it has read what was kept.
  for (let did: unknown, until = performance.now() + 10_000; did !== stopped.pid;) {
    ({ did } = (await get(`${cluster.url}/do?what=an%20answer%20to%20nothing`)).json as { did?: unknown });
    assert.ok(performance.now() < until, JSON.stringify(did));
  }
  assert.equal((await cluster.stop()).code, 0);
});
