import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster } from '../helpers/cluster.js';
import { withConfig } from '../helpers/with-config.js';

for (const whom of ['the master alone', 'the master and all workers, as a suspended machine does'] as const) {
  test(`SIGSTOP of ${whom} for longer than hangTimeout: nobody is killed when it wakes`, async (t) => {
    const config = withConfig(t, { workers: 2, plugins: { 'health-check': { hangTimeout: 500 } } });
    const cluster = await startCluster(t, 'health-app', { flags: ['--config', config] });
    const before = (await cluster.status()).workers.map(({ pid }) => pid);
    const stopped = whom === 'the master alone' ? [cluster.pid] : [cluster.pid, ...before];
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    await delay(1_500);
    for (const pid of stopped.reverse()) process.kill(pid, 'SIGCONT');
    // Three periods in which a verdict could fall.
    await delay(1_500);
    assert.deepEqual((await cluster.status()).workers.map(({ pid }) => pid), before);
    assert.doesNotMatch(cluster.output, /unresponsive/);
    assert.equal((await cluster.stop()).code, 0);
  });
}
