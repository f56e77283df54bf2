import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { descriptors } from '../helpers/cluster.js';
import { addresses, ask, stickyCluster } from '../helpers/sticky.js';

test('kill -9 under connection per request: only what the dead worker was answering is lost, nobody hangs', async (t) => {
  const cluster = await stickyCluster(t, {});
  const clients = addresses(100);
  // Each worker's pipe for connections comes with the first of them.
  await Promise.all(clients.map((from) => ask(cluster, '/', { from })));
  const before = descriptors(cluster.pid);
  let longest = 0;
  let answered = 0;
  const lost: string[] = [];
  let running = true;
  const load = Promise.all(Array.from({ length: 24 }, async (_, lane) => {
    for (let n = lane; running; n++) {
      const started = performance.now();
      try {
        await ask(cluster, '/', { from: clients[n % clients.length] });
        answered++;
      } catch (error) {
        lost.push((error as NodeJS.ErrnoException).code ?? (error as Error).message);
      }
      longest = Math.max(longest, performance.now() - started);
    }
  }));
  await delay(500);
  for (let round = 0; round < 4; round++) {
    const { workers } = await cluster.status();
    const victim = workers.find((worker) => worker.slot === round && worker.state === 'ready')!;
    process.kill(victim.pid, 'SIGKILL');
    await cluster.waitFor(() => new RegExp(`#${5 + round}:\\d+ \\(slot ${round}\\) started`).test(cluster.output));
    await delay(200);
  }
  running = false;
  await load;
  assert.ok(answered > 1_000, String(answered));
  assert.ok(lost.length <= 4 * 24 && lost.every((one) => /ECONNRESET|EPIPE/.test(one)), JSON.stringify(lost));
  assert.ok(longest < 3_000, `a client waited ${Math.round(longest)} ms`);
  assert.ok((await cluster.status()).state === 'running');
  await cluster.waitFor(() => descriptors(cluster.pid) <= before, 3_000);
});
