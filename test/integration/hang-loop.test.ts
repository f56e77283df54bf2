import assert from 'node:assert/strict';
import { test } from 'node:test';
import { starved } from '../../plugins/health-check/process-facts.js';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { Load } from '../helpers/load.js';
import { withConfig } from '../helpers/with-config.js';

test('an endless loop: named in the log with its line and request, replaced within 4 s at a hangTimeout of 2 s; '
  + 'the others answer all the while', async (t) => {
  const config = withConfig(t, { workers: 4, plugins: { 'health-check': { hangTimeout: 2_000 } } });
  const cluster = await startCluster(t, 'health-app', { flags: ['--config', config] });
  const load = new Load({ perConnection: 2 }, { http: { port: cluster.port }, pause: 10 });
  t.after(() => load.stop());
  const from = cluster.output.length;
  // A machine that gives the loop, or the master, no processor owes it that time.
  let waited = 0;
  const pids = (await cluster.status()).workers.map(({ pid }) => pid);
  const before = await Promise.all(pids.map(starved));
  const ofMaster = await starved(cluster.pid);
  const watching = setInterval(() => {
    void Promise.all([cluster.pid, ...pids].map(starved)).then(([master = 0, ...now]) => {
      waited = Math.max(waited, master - ofMaster + Math.max(...now.map((ms, at) => ms - (before[at] ?? 0))));
    });
  }, 100);
  t.after(() => clearInterval(watching));
  const began = performance.now();
  const hung = get(`${cluster.url}/spin`).catch((error: Error) => error);
  await cluster.waitFor(/unresponsive and is replaced/, 12_000, from);
  const found = performance.now() - began;
  const [, slot] = await cluster.waitFor(/slot (\d)\) started/, 12_000, from);
  const took = performance.now() - began;
  await load.stop();

  const log = cluster.output.slice(from);
  assert.match(log, new RegExp(`worker#${slot} .*has not answered for [2-4]\\.\\d s`));
  assert.match(log, /state R \(running\), cpu \d+ %, rss [\d.]+ MB, heap [\d.]+ MB/);
  assert.match(log, /at spinForever \(.*fixtures\/health-app\/app\.js:8:\d+\)/);
  assert.match(log, /active requests:\n\s+GET \/spin, [2-4]\.\d s/);
  assert.ok(took < 4_000 + waited, `${took} ms, ${waited} of them without a processor`);
  assert.ok(await hung instanceof Error, 'the connection of the hung worker is closed');
  // One connection at most was handed to the worker that hangs.
  assert.ok(load.lost <= 1, load.report());
  const { workers } = await cluster.status();
  assert.equal(workers.filter(({ state }) => state === 'ready').length, 4);
  assert.equal(workers[Number(slot)]?.lastExit?.cause, 'unresponsive');
  t.diagnostic(
    `found after ${Math.round(found)} ms, replaced after ${Math.round(took)} ms, ${Math.round(waited)} of them without a processor`,
  );
  assert.equal((await cluster.stop()).code, 0);
});
