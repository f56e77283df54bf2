import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { skip } from '../helpers/reuse-port.js';
import { slowApp, waits, who } from '../helpers/standby.js';

/** Two workers; one is killed, and the slot's answers come from the one that waited: at every port, and from no other slot's. */
async function serves(t: TestContext, config: object, { app = slowApp, port = (main: number) => main } = {}) {
  const { dir } = ownApp(t, { 'app.js': app, '.clusterrc': { standby: 1, ...config } });
  const cluster = await startCluster(t, dir, { flags: ['-w', '2'] });
  const spare = await waits(cluster);
  const url = `http://127.0.0.1:${port(cluster.port)}`;
  const ask = async () => (await get(url)).json as { pid: number; slot: string };
  for (let n = 0; n < 40; n++) assert.notEqual((await ask()).pid, spare.pid, 'one that waits answers nobody');
  const { workers } = await cluster.status();
  process.kill(workers[1]!.pid, 'SIGKILL');
  await cluster.waitFor(/slot 1\) was ended by SIGKILL/);
  await eventually(async () => {
    const { state, workers: after } = await cluster.status();
    return state === 'running' && after[0]!.pid === workers[0]!.pid && after[1]!.pid === spare.pid;
  });
  return { cluster, ask, spare, first: workers[0]! };
}

/** Somebody's connections reach it, sooner or later. */
async function isReached({ ask, spare }: Awaited<ReturnType<typeof serves>>) {
  await eventually(async () => {
    const { pid, slot } = await ask();
    return pid === spare.pid && slot === '1';
  });
}

test('round-robin', async (t) => isReached(await serves(t, {})));
test('os', async (t) => isReached(await serves(t, { balance: 'os' })));
test('reuse-port', { skip }, async (t) => isReached(await serves(t, { balance: 'reuse-port' })));

test('sticky by connection: its slot\'s clients are its own, the others stay where they are', async (t) => {
  const { cluster, spare, first } = await serves(t, { plugins: { 'sticky-session': true } });
  const pids = new Set<unknown>();
  for (let n = 0; n < 10; n++) pids.add((await get(cluster.url)).json.pid);
  assert.equal(pids.size, 1);
  assert.ok(pids.has(spare.pid) || pids.has(first.pid));
});

test('sticky by request: a client of its slot is forwarded to it', async (t) => {
  const { cluster, spare } = await serves(t, { plugins: { 'sticky-session': { mode: 'request', key: { query: 'user' } } } });
  const bound = new Map<string, unknown>();
  for (let n = 0; n < 12; n++) bound.set(`u${n}`, (await get(`${cluster.url}/?user=u${n}`)).json.pid);
  assert.ok([...bound.values()].includes(spare.pid));
  for (const [user, pid] of bound) assert.equal((await get(`${cluster.url}/?user=${user}`)).json.pid, pid);
});

test('a second port, and one that each worker has for itself', async (t) => {
  const app = `${slowApp}
    require('node:http').createServer(${who}).listen(Number(process.env.PORT) + 1);
    require('node:http').createServer(() => {}).listen({ port: 0, exclusive: true }, () => console.log('own port', process.pid));
  `;
  const served = await serves(t, {}, { app, port: (main) => main + 1 });
  await isReached(served);
  await served.cluster.waitFor(new RegExp(`own port ${served.spare.pid}`));
  assert.equal((await get(served.cluster.url)).status, 200);
});
