import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { RawConnection, requestHead } from '../helpers/raw-client.js';
import { withConfig } from '../helpers/with-config.js';

test('status has the figures of every child: memory, processor, event loop, requests, connections', async (t) => {
  const config = withConfig(t, { workers: 1 });
  const cluster = await startCluster(t, 'health-agent', { flags: ['--config', config] });
  const open = new RawConnection({ port: cluster.port });
  t.after(() => open.destroy());
  await open.send(requestHead('GET', '/'), ['GET'], 5_000)[0];
  let busy = true;
  const load = (async () => { while (busy) await get(cluster.url); })();
  t.after(() => { busy = false; });
  await eventually(async () => {
    const [worker] = (await cluster.status()).workers;
    return typeof worker?.requestsPerSecond === 'number' && worker.requestsPerSecond > 10 && Number(worker.connections) >= 1;
  }, 6_000);
  const { workers: [worker], agent } = await cluster.status();
  busy = false;
  await load;
  for (const child of [worker, agent]) {
    assert.ok(child && child.rss !== null && child.rss > 20 * 2 ** 20 && child.rss < 500 * 2 ** 20, JSON.stringify(child));
    assert.ok(child.cpu !== null && child.cpu >= 0 && child.cpu < 4);
    assert.ok(child.eventLoopDelay !== null && child.eventLoopDelay >= 0 && child.eventLoopDelay < 1_000);
    assert.ok(child.eventLoopUtilization !== null && child.eventLoopUtilization >= 0 && child.eventLoopUtilization <= 1);
    assert.ok(Number(child.heapUsed) < Number(child.heapLimit));
  }
  assert.ok(Number(worker?.requests) > 10);
  const { stdout } = await cluster.run('status');
  assert.match(stdout, /worker#0\s+\d+\s+ready/);
  assert.doesNotMatch(stdout.split('\n').find((line) => line.startsWith('worker#0')) ?? '', /\s-\s+-\s/);
  assert.equal((await cluster.stop()).code, 0);
});
