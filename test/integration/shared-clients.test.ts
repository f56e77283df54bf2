import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import type { TestCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { startShared, type Failed, type Where } from '../helpers/shared-app.js';

let cluster: TestCluster;
let on: Awaited<ReturnType<typeof startShared>>['on'];
const cleanups: (() => unknown)[] = [];
before(async () => { ({ cluster, on } = await startShared({ after: (fn) => cleanups.push(fn) })); });
after(async () => {
  for (const cleanup of cleanups) await cleanup();
});

test('the real client is in the agent, and each worker calls it there', async () => {
  const { agent } = await cluster.status();
  for (const slot of [0, 1]) {
    assert.deepEqual((await on<Where>(slot, 'where')).result, { pid: agent?.pid, slot: -1 });
    assert.equal((await on(slot, 'leads')).result, false);
  }
});

test('a published value reaches the other worker, and one that subscribes later', async () => {
  await on(0, 'listen', 'a');
  await on(1, 'publish', 'a', { n: 1 });
  await eventually(async () => (await on(0)).heard.length === 1);
  await on(1, 'listen', 'a');
  await eventually(async () => (await on(1)).heard.length === 1);
  assert.deepEqual([(await on(0)).heard, (await on(1)).heard], [[{ n: 1 }], [{ n: 1 }]]);
  assert.deepEqual((await on(0, 'used')).result, ['subscribe a', 'publish a [object Object]']);
});

test('an error has its name, message and code; what is not shared is not there', async () => {
  assert.deepEqual((await on<Failed>(0, 'get', 'b')).result.error,
    { name: 'NotFound', message: 'nothing is called b', code: 'E_NOT_FOUND' });
  for (const name of ['_secret', 'none']) assert.match((await on<Failed>(1, name)).result.error.message, /is not a function/);
});

test('an error has the name of its class, its cause and its own fields, and a BigInt arrives as one', async () => {
  for (const slot of [0, 1]) {
    assert.deepEqual((await on(slot, 'refused')).result,
      [true, 'Refused', 'not today', 'RangeError', 'too many', String(2n ** 70n), [['user', [1, 2]]]]);
    assert.equal((await on(slot, 'big')).result, String(-(2n ** 70n)));
  }
});

test('an event of the real client is heard in a worker', async () => {
  await on(1, 'hear', 'moved');
  // Nobody says when the real client's process knows of the listener: what was emitted before is not heard.
  await eventually(async () => {
    await on(0, 'shout', 'moved', 'north', 3);
    return (await on(1)).heard.length > 1;
  });
  assert.deepEqual((await on(1)).heard.at(-1), ['moved', 'north', 3]);
});

test('a worker that hangs for a while delays nobody, and hears afterwards what has come', async () => {
  const heard = (await on(0)).heard.length;
  const blocked = on(0, 'block', 2_000);
  const began = performance.now();
  while (performance.now() - began < 1_500) assert.ok((await on<Where>(1, 'where')).took < 500);
  await on(1, 'publish', 'a', 'meanwhile');
  await blocked;
  await eventually(async () => (await on(0)).heard.length === heard + 1);
  assert.equal((await on(0)).heard.at(-1), 'meanwhile');
});

test('at the stop the real client is closed, once, after all who could call it', async () => {
  const { agent } = await cluster.status();
  assert.equal((await cluster.stop()).code, 0);
  assert.deepEqual(cluster.output.match(/registry closed in \d+/g), [`registry closed in ${agent?.pid}`]);
  assert.ok(cluster.output.indexOf('registry closed') > cluster.output.lastIndexOf('app_worker#'));
  await cluster.assertNothingLeft();
});
