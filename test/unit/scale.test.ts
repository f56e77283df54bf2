import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { orderScale, replaceWorker, scale } from '../../lib/master/operations/scale.js';
import { close } from '../../lib/master/operations/shutdown.js';
import { status } from '../../lib/master/plugins/face.js';
import { assertSound, fakeCore, running, watched } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

async function cluster(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const fake = await running(t);
  const changes: string[] = [];
  fake.core.hooks.scaleChanged.tap('test', (from, to) => { changes.push(`${from} to ${to}`); });
  return { ...fake, fake, changes };
}

test('up: the new slots only, and the configuration of the next forks says so', async (t) => {
  const { core, forks, changes } = await cluster(t);
  const seen = watched(scale(core, '+2'));
  await turns();
  assert.deepEqual(forks.all.slice(2).map(({ spec }) => spec.slot), [2, 3]);
  for (const fake of forks.all.slice(2)) fake.ready();
  await turns();
  assert.deepEqual(seen.outcome, { state: 'done', value: { from: 2, to: 4 } });
  assert.equal(core.releases.current.loaded.config.workers, 4);
  assert.deepEqual(changes, ['2 to 4']);
});

for (const [change, to] of [['-1', 1], ['-9', 1], ['0', 1], [2, 2], ['+0', 2]] as const) {
  test(`scale ${change} of two workers: ${to}`, async (t) => {
    const { core } = await cluster(t);
    assert.deepEqual(await scale(core, change), { from: 2, to });
    assert.equal(core.workers.slots.length, to);
  });
}

for (const change of ['two', '1.5', '', '+', '2000', '+1023']) {
  test(`scale "${change}" is refused`, async (t) => {
    const { core } = await cluster(t);
    await assert.rejects(scale(core, change), { code: 'ERR_CLUSTER_USAGE' });
    assert.equal(core.workers.slots.length, 2);
    assert.equal(core.tasks.busy, false);
  });
}

test('a fork that fails: those that came up with it go, the count is what it was, and all are told so', async (t) => {
  const { core, fake, forks, changes } = await cluster(t);
  const seen = watched(scale(core, 4));
  await turns();
  forks.in(2).ready();
  forks.in(3).exits(1);
  await turns();
  assert.equal(seen.code, 'ERR_CLUSTER_START');
  assert.equal(core.workers.slots.length, 2);
  assert.equal(core.releases.current.loaded.config.workers, 2);
  assert.deepEqual(forks.alive.map(({ spec }) => spec.slot), [0, 1]);
  assert.deepEqual(changes, ['2 to 4', '4 to 2']);
  assertSound(fake, 'afterwards');
});

test('a death between ready and the end of a scale is made good', async (t) => {
  const { core, fake, forks } = await cluster(t);
  const seen = watched(scale(core, 4));
  await turns();
  forks.in(2).ready();
  await turns();
  forks.in(2).exits(1);
  await turns();
  t.mock.timers.tick(0);
  await turns();
  forks.in(3).ready();
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assertSound(fake, 'afterwards');
  forks.in(2).ready();
  assert.equal(core.workers.ready().length, 4);
});

test('a worker that drains as it was scaled away is seen until it is gone', async (t) => {
  const { core, fake, forks } = await cluster(t);
  const leaving = forks.in(1);
  leaving.manners.obeys = false;
  const seen = watched(scale(core, 1));
  await turns();
  assert.equal(leaving.asked, 'scale');
  assertSound(fake, 'while it drains');
  assert.deepEqual((await status(core)).workers.map(({ pid, state }) => [pid, state]),
    [[forks.in(0).pid, 'ready'], [leaving.pid, 'draining']]);
  leaving.exits(0);
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assert.equal(core.workers.children().length, 1);
});

test('a close while a worker drains that was scaled away waits for it too', async (t) => {
  const { core, forks } = await cluster(t);
  const leaving = forks.in(1);
  leaving.manners.obeys = false;
  const scaled = watched(scale(core, 1));
  await turns();
  const closed = watched(close(core, 'test'));
  await turns();
  assert.equal(scaled.code, 'ERR_CLUSTER_CLOSING');
  t.mock.timers.tick(1_000);
  await turns();
  assert.equal(closed.outcome.state, 'pending');
  leaving.exits(0);
  await turns();
  assert.equal(closed.outcome.state, 'done');
});

test('a worker that dies as it is scaled away is not forked again', async (t) => {
  const { core, forks } = await cluster(t);
  forks.in(1).exits(1);
  await turns();
  assert.notEqual(core.workers.slots[1]!.refork.delay, null);
  await scale(core, 1);
  t.mock.timers.tick(60_000);
  await turns();
  assert.equal(forks.of(1).length, 1);
});

test('orders of signals: each counts, in its turn, also while another task is under way', async (t) => {
  const { core, forks } = await cluster(t);
  forks.manners.boots = true;
  for (const by of [1, 1, -1, 1] as const) orderScale(core, by);
  await turns(40);
  assert.equal(core.workers.slots.length, 4);
});

test('replacing one worker: false while something is under way, when it is not in charge, and before all were ready', async (t) => {
  const { core, forks } = await cluster(t);
  const [first] = core.workers.ready();
  void watched(scale(core, 3));
  await turns();
  assert.equal(await replaceWorker(core, first!, 'recycle'), false);
  forks.last.ready();
  await turns();
  const seen = watched(replaceWorker(core, first!, 'recycle'));
  await turns();
  forks.last.ready();
  await turns();
  assert.deepEqual(seen.outcome, { state: 'done', value: true });
  assert.equal(await replaceWorker(core, first!, 'recycle'), false, 'it is not in charge any more');
  const starting = fakeCore(t);
  const [slot] = starting.core.workers.addSlots(1);
  void watched(slot!.start(starting.core.releases.current));
  await turns();
  starting.forks.last.ready();
  assert.equal(await replaceWorker(starting.core, slot!.current!, 'recycle'), false, 'the start is under way');
});

test('signals that come while something is under way are one order, however many', async (t) => {
  const { core, forks, changes } = await cluster(t);
  let end!: () => void;
  const busy = core.tasks.run('reload', () => new Promise<void>((resolve) => { end = resolve; }));
  for (let i = 0; i < 500; i++) orderScale(core, 1);
  for (let i = 0; i < 498; i++) orderScale(core, -1);
  end();
  await busy;
  await turns();
  for (const fake of forks.all.slice(2)) fake.ready();
  await turns();
  assert.deepEqual(changes, ['2 to 4']);
  assert.equal(core.tasks.busy, false);
  orderScale(core, -1);
  await turns();
  assert.deepEqual(changes, ['2 to 4', '4 to 3']);
});
