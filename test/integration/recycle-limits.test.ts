import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

for (const { options, requests, why } of [
  { options: { maxRequests: 20, jitter: 0 }, requests: 30, why: /was recycled \(requests \d\d, maxRequests 20\)/ },
  { options: { maxAge: 1_000 }, requests: 0, why: /was recycled \(age 1\.\d s, maxAge [01]\.\d s\)/ },
  { options: { maxHeapUsed: 1_000_000 }, requests: 0, why: /was recycled \(heap [\d.]+ MB, maxHeapUsed [\d.]+ MB\)/ },
  { options: { cron: '* * * * * *' }, requests: 0, why: /was recycled \(schedule \* \* \* \* \* \*\)/ },
]) {
  test(`recycled by ${JSON.stringify(options)}: the replacement is ready before the old worker drains`, async (t) => {
    const config = withConfig(t, { workers: 1, plugins: { 'health-check': options } });
    const cluster = await startCluster(t, 'health-app', { flags: ['--config', config] });
    const { pid } = (await get(cluster.url)).json;
    for (let n = 0; n < requests; n++) await get(cluster.url);
    await cluster.waitFor(why, 10_000);
    const ready = cluster.output.search(/app_worker#2:\d+ \(slot 0\) started/);
    const gone = cluster.output.search(new RegExp(`app_worker#1:${pid} \\(slot 0\\) exited with code 0`));
    assert.ok(ready > 0 && ready < gone, cluster.output);
    assert.equal((await get(cluster.url)).status, 200);
    assert.equal((await cluster.stop()).code, 0);
  });
}
