import assert from 'node:assert/strict';
import test, { before, after } from 'node:test';
import { startCluster, type TestCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';

interface Heard { action: string; data: unknown; from: string }
interface Reply { slot: number; pid: number; result: unknown; heard: Heard[] }

let cluster: TestCluster;
const cleanups: (() => unknown)[] = [];
before(async () => {
  cluster = await startCluster({ after: (fn) => cleanups.push(fn) }, 'messages', { flags: ['-w', '2'] });
});
after(async () => {
  for (const cleanup of cleanups) await cleanup();
});

const ask = async (body: object): Promise<Reply> =>
  (await get(cluster.url, { method: 'POST', body: JSON.stringify(body) })).json as unknown as Reply;

/** Asks until the worker of a slot answers. */
async function worker(slot: number): Promise<Reply> {
  for (;;) {
    const reply = await ask({});
    if (reply.slot === slot) return reply;
  }
}
async function heardBy(slot: number, action: string): Promise<Heard> {
  for (const started = performance.now(); performance.now() - started < 5_000;) {
    const found = (await worker(slot)).heard.find((one) => one.action === action);
    if (found) return found;
  }
  throw new Error(`worker ${slot} has not heard ${action}`);
}

test('at the start workers hear cluster-ready and the agent\'s pid, the agent hears theirs', async () => {
  const { agent, workers } = await cluster.status();
  for (const slot of [0, 1]) {
    await heardBy(slot, 'cluster-ready');
    assert.deepEqual((await heardBy(slot, 'agent-pids')).data, [agent?.pid]);
  }
  const { result } = await ask({ verb: 'request', args: ['agent', 'heard'] });
  const pids = (result as Heard[]).filter(({ action }) => action === 'app-pids').at(-1)?.data;
  assert.deepEqual((pids as number[]).toSorted(), workers.map(({ pid }) => pid).toSorted());
});

test('request: the answer, the error with its code, an action nobody listens to', async () => {
  assert.equal((await ask({ verb: 'request', args: ['agent', 'sum', [1, 2, 39]] })).result, 42);
  assert.deepEqual((await ask({ verb: 'request', args: [{ slot: 1 }, 'fail'] })).result,
    { error: { message: 'worker says no', code: 'E_NO' } });
  const { error } = (await ask({ verb: 'request', args: ['agent', 'nothing'] })).result as { error: { code: string } };
  assert.equal(error.code, 'ERR_CLUSTER_NO_HANDLER');
});

test('request to a slot, to a pid, to any worker', async () => {
  const { workers } = await cluster.status();
  assert.equal(((await ask({ verb: 'request', args: [{ slot: 1 }, 'who'] })).result as Reply).slot, 1);
  const pid = workers[0]!.pid;
  assert.equal(((await ask({ verb: 'request', args: [pid, 'who'] })).result as Reply).pid, pid);
  assert.ok([0, 1].includes(((await ask({ verb: 'request', args: ['app', 'who'] })).result as Reply).slot));
});

test('broadcast, sendToApp, sendTo slot and pid reach the ones they name', async () => {
  await ask({ verb: 'broadcast', args: ['everybody', 1] });
  for (const slot of [0, 1]) assert.deepEqual(await heardBy(slot, 'everybody'), { action: 'everybody', data: 1, from: 'app' });
  assert.ok(((await ask({ verb: 'request', args: ['agent', 'heard'] })).result as Heard[]).some(({ action }) => action === 'everybody'));
  await ask({ verb: 'sendToAgent', args: ['tell', { target: { slot: 0 }, action: 'for-zero', data: 'x' }] });
  assert.deepEqual(await heardBy(0, 'for-zero'), { action: 'for-zero', data: 'x', from: 'agent' });
  assert.ok(!(await worker(1)).heard.some(({ action }) => action === 'for-zero'));
});

test('process.send({ action, to }) works from any code: the default addressee of a worker is the agent', async () => {
  await ask({ raw: { action: 'plain', data: { a: 1 } } });
  await ask({ raw: { action: 'named', data: 2, to: 'app' } });
  assert.deepEqual(await heardBy(0, 'named'), { action: 'named', data: 2, from: 'app' });
  const { result } = await ask({ verb: 'request', args: ['agent', 'heard'] });
  assert.ok((result as Heard[]).some(({ action, from }) => action === 'plain' && from === 'app'));
});

test('reload-worker to the master reloads', async () => {
  const { pid } = await worker(0);
  await ask({ raw: { action: 'reload-worker', to: 'master' } });
  await cluster.waitFor(/reloaded 2 workers/);
  assert.notEqual((await worker(0)).pid, pid);
});
