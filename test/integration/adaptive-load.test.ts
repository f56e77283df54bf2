import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';
import type { AdaptiveStatus } from '../../lib/api/control.js';
import { freePort, startCluster, type TestCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { parsePrometheus } from '../helpers/prometheus-text.js';

type LastMove = AdaptiveStatus['lastMove'];

/** Each request costs 5 ms of a processor. */
const busyApp = `require('node:http').createServer((request, response) => {
  const until = performance.now() + 5;
  while (performance.now() < until);
  response.end(String(process.pid));
}).listen(process.env.PORT);`;
const CLIENTS = 12;

/** Clients that ask again as soon as they are answered, until they are told to stop; every answer, and what failed. */
function clients(cluster: TestCluster, keepAlive: boolean) {
  const agent = keepAlive ? new http.Agent({ keepAlive: true, maxSockets: CLIENTS }) : false as const;
  const answers = new Map<string, number>();
  const failures: string[] = [];
  let pause = 0;
  let going = true;
  const ask = () => new Promise<void>((resolve) => {
    http.get({ port: cluster.port, host: '127.0.0.1', agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => { text += part; }).on('end', () => {
        answers.set(text, (answers.get(text) ?? 0) + 1);
        resolve();
      }).on('error', (error) => {
        failures.push(error.message);
        resolve();
      });
    }).on('error', (error) => {
      failures.push(error.message);
      resolve();
    });
  });
  const all = Array.from({ length: CLIENTS }, async () => {
    while (going) {
      await ask();
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
    }
  });
  return {
    answers,
    failures,
    /** From now on with so many ms between an answer and the next request. */
    rest: (ms: number) => { pause = ms; },
    async stop() {
      going = false;
      await Promise.all(all);
      if (agent) agent.destroy();
    },
  };
}

for (const [what, keepAlive] of [['connections of their own', false], ['connections that are kept open', true]] as const) {
  test(`clients with ${what}: a second worker serves them, and goes again without a lost request`, async (t) => {
    const { dir } = ownApp(t, { 'app.js': busyApp, '.clusterrc': { workers: { min: 1, max: 2, quiet: 1_500 } } });
    const cluster = await startCluster(t, dir);
    const load = clients(cluster, keepAlive);
    await eventually(() => load.answers.size === 2, 30_000);
    // It may answer before the master has heard that it is ready.
    const moved = async (to: number) => {
      let last: LastMove = null;
      await eventually(async () => {
        last = (await cluster.status()).adaptive!.lastMove;
        return last?.to === to;
      }, 60_000);
      return last! as NonNullable<LastMove>;
    };
    assert.match((await moved(2)).why, /^a connection waited \d+ ms|^an event loop stays|^a worker has been blocked/);
    load.rest(1_000);
    assert.equal((await moved(1)).cause, 'quiet');
    assert.equal((await cluster.status()).workers.length, 1);
    await load.stop();
    assert.deepEqual(load.failures, []);
    assert.equal((await cluster.stop()).code, 0);
    await cluster.assertNothingLeft();
  });
}

test('/metrics has the range, each move with its cause, and what kept the number from growing', async (t) => {
  const port = await freePort();
  const { dir } = ownApp(t, { 'app.js': busyApp, '.clusterrc': { workers: { min: 1, max: 2 }, plugins: { 'health-check': { port } } } });
  const cluster = await startCluster(t, dir);
  const scrape = async () => parsePrometheus((await get(`http://127.0.0.1:${port}/metrics`)).text);
  const before = await scrape();
  assert.deepEqual(['min', 'max'].map((end) => before.get(`hatchery_workers_${end}`)?.samples[0]?.value), [1, 2]);
  const load = clients(cluster, false);
  await eventually(async () => (await cluster.status()).adaptive!.held !== null, 30_000);
  const after = await scrape();
  await load.stop();
  const [moved] = after.get('hatchery_worker_moves_total')!.samples;
  assert.deepEqual([moved!.labels.direction, moved!.value], ['up', 1]);
  assert.ok(['connection', 'utilization', 'silence'].includes(moved!.labels.cause!), moved!.labels.cause);
  assert.deepEqual(after.get('hatchery_worker_moves_held_total')!.samples, [{ labels: { reason: 'most' }, value: 1 }]);
  await cluster.stop();
});
