import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

for (const { who, after, name } of [
  { who: '0', after: 100, name: 'one slot that crashes 0.1 s after each boot' },
  { who: '0', after: 1_100, name: 'one slot that crashes 1.1 s after each boot' },
  { who: 'all', after: 100, name: 'all workers at once' },
]) {
  test(`crash loop, ${name}: forks are bounded, the others serve, status tells, and it recovers without a hand`, async (t) => {
    const config = withConfig(t, { workers: 3, refork: { maxDelay: 1_000 } });
    const file = path.join(path.dirname(config), 'crash');
    writeFileSync(file, 'none 0');
    const cluster = await startCluster(t, 'health-app', { flags: ['--config', config], env: { CRASH_FILE: file } });
    writeFileSync(file, `${who} ${after}`);
    const from = cluster.output.length;
    for (const { pid } of (await cluster.status()).workers.slice(0, who === 'all' ? 3 : 1)) process.kill(pid, 'SIGKILL');
    await delay(4_500);

    const forks = (cluster.output.slice(from).match(/slot \d\) started/g) ?? []).length;
    // Two at once, then after 100, 200, 400, 800, 1000 ms.
    const most = (who === 'all' ? 3 : 1) * 9;
    assert.ok(forks >= 3 && forks <= most, `${forks} forks, at most ${most}`);
    if (who !== 'all') for (let n = 0; n < 20; n++) assert.equal((await get(cluster.url)).status, 200);
    const seen = await cluster.status();
    assert.ok(seen.refork.inWindow >= 3);
    assert.ok(seen.state === 'degraded' || seen.state === 'running');
    if (after === 100) await eventually(async () => (await cluster.status()).state === 'degraded', 3_000);

    writeFileSync(file, 'none 0');
    await eventually(async () => (await cluster.status()).state === 'running', 4_000);
    await delay(after + 200);
    const { state, workers } = await cluster.status();
    assert.equal(state, 'running');
    assert.deepEqual({ cause: workers[0]?.lastExit?.cause, code: workers[0]?.lastExit?.code }, { cause: 'crash', code: 7 });
    assert.equal((await cluster.stop()).code, 0);
  });
}
