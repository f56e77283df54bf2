import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { Load } from '../helpers/load.js';
import { withConfig } from '../helpers/with-config.js';

test('a leak of 1 MiB a request with maxRss: recycled again and again under load, no request lost, never two at once', async (t) => {
  const config = withConfig(t, { workers: 2, plugins: { 'health-check': { maxRss: '120MB' } } });
  const cluster = await startCluster(t, 'health-app', { flags: ['--config', config], env: { LEAK: String(2 ** 20) } });
  const load = new Load({ perConnection: 1, keepAlive: 2 }, { http: { port: cluster.port }, pause: 20 });
  t.after(() => load.stop());
  await cluster.waitFor(() => (cluster.output.match(/was recycled/g) ?? []).length >= 3, 14_000);
  await load.stop();
  assert.equal(load.lost, 0, `${load.report()}\n${cluster.output}`);
  assert.match(cluster.output, /worker#\d \(pid \d+\) was recycled \(rss [\d.]+ MB, maxRss 1[01]\d\.\d MB\) within \d+ms/);
  // Between the start of a replacement and the end of the one it replaces, no other begins.
  const steps = [...cluster.output.matchAll(/slot (\d)\) (started|exited)/g)].slice(2).map(([, slot, what]) => `${what} ${slot}`);
  for (let at = 0; at + 1 < steps.length; at += 2) {
    const [first, second] = [steps[at], steps[at + 1]] as [string, string];
    assert.match(first, /^started/, steps.join(', '));
    assert.equal(second, first.replace('started', 'exited'), steps.join(', '));
  }
  const { workers } = await cluster.status();
  assert.ok(workers.some(({ lastExit, restarts }) => restarts > 0 && lastExit?.cause === 'requested'));
  assert.equal((await cluster.stop()).code, 0);
});
