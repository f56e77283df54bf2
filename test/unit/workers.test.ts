import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { assertSound, fakeCore, running, watched } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

const still = (t: TestContext) => t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });

test('grow: all new slots at once, and it resolves when the last of them is ready', async (t) => {
  still(t);
  const { core, forks } = fakeCore(t);
  const seen = watched(core.workers.grow(3, core.releases.current));
  await turns();
  assert.deepEqual(forks.all.map(({ spec }) => spec.slot), [0, 1, 2]);
  for (const slot of [2, 0]) forks.in(slot).ready();
  await turns();
  assert.equal(seen.outcome.state, 'pending');
  assert.equal(core.workers.pending, true);
  assert.equal(core.workers.complete, false);
  forks.in(1).ready();
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assert.equal(core.workers.complete, true);
  assert.equal(core.workers.pending, false);
});

test('forks that take long have turns of the loop of their own, before which others are heard', async (t) => {
  still(t);
  const { core, forks } = fakeCore(t);
  let turn = 0;
  const seen: number[] = [];
  core.hooks.workerForked.tap('test', () => {
    seen.push(turn);
    const until = performance.now() + 30;
    while (performance.now() < until);
  });
  watched(core.workers.grow(4, core.releases.current));
  for (; turn < 8; turn++) await turns(1);
  assert.equal(new Set(seen).size, 4, seen.join());
  for (const child of forks.all) child.ready();
  await turns();
});

test('grow: rejects with the first that fails, whoever else is ready', async (t) => {
  still(t);
  const { core, forks } = fakeCore(t);
  const seen = watched(core.workers.grow(3, core.releases.current));
  await turns();
  forks.in(0).ready();
  forks.in(2).exits(1);
  await turns();
  assert.equal(seen.code, 'ERR_CLUSTER_START');
  assert.match(seen.outcome.state === 'failed' ? seen.outcome.error.message : '', /^worker#2 /);
});

for (const how of ['dies', 'leaves'] as const) {
  test(`grow before all were ready: one that was ready and ${how} fails it`, async (t) => {
    still(t);
    const { core, forks } = fakeCore(t);
    const seen = watched(core.workers.grow(2, core.releases.current));
    await turns();
    forks.in(0).ready();
    await turns();
    if (how === 'dies') forks.in(0).exits(7);
    else forks.in(0).leaves();
    await turns();
    forks.in(1).ready();
    await turns();
    assert.match(seen.outcome.state === 'failed' ? seen.outcome.error.message : '',
      how === 'dies' ? /worker#0 died before all were ready: exited with code 7/ : /worker#0 died before all were ready: it left/);
  });
}

test('grow to what there is makes nothing; addSlots makes places and no process', async (t) => {
  still(t);
  const { core, forks } = await running(t);
  await core.workers.grow(2, core.releases.current);
  assert.deepEqual(core.workers.addSlots(4).map(({ index }) => index), [2, 3]);
  assert.deepEqual(core.workers.addSlots(4), []);
  assert.equal(forks.all.length, 2);
  assert.equal(core.workers.complete, false);
});

test('shrink: the highest go, those who drain are among the children and among all, and not among the slots', async (t) => {
  still(t);
  const { core, fake, forks } = await running(t, { workers: 3 }).then((one) => ({ ...one, fake: one }));
  for (const slot of [1, 2]) forks.in(slot).manners.obeys = false;
  const seen = watched(core.workers.shrink(1));
  await turns();
  assert.deepEqual([core.workers.slots.length, core.workers.all.length, core.workers.children().length], [1, 3, 3]);
  assertSound(fake, 'two leave');
  forks.in(2).exits(0);
  await turns();
  assert.deepEqual([core.workers.all.length, core.workers.children().length], [2, 2]);
  forks.in(1).exits(1);
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assert.equal(core.workers.all.length, 1);
});

test('grow again while those of before still drain: the new slot is another one', async (t) => {
  still(t);
  const { core, fake, forks } = await running(t).then((one) => ({ ...one, fake: one }));
  forks.in(1).manners.obeys = false;
  void core.workers.shrink(1);
  await turns();
  const seen = watched(core.workers.grow(2, core.releases.current));
  await turns();
  assertSound(fake, 'old and new of slot 1');
  const [old] = forks.of(1);
  forks.in(1).ready();
  old!.exits(1);
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assert.equal(core.workers.slots[1]!.current?.pid, forks.in(1).pid);
  t.mock.timers.tick(60_000);
  await turns();
  assert.equal(forks.of(1).length, 2, 'the old one\'s death is no business of the new slot');
});

for (const [what, leftReturn, pending] of [['somebody fills again', true, true], ['nobody fills', false, false]] as const) {
  test(`an empty slot that ${what} is ${pending ? '' : 'not '}pending`, async (t) => {
    still(t);
    const { core } = await running(t);
    core.workers.leftReturn = leftReturn;
    const [slot] = core.workers.slots;
    await slot!.vacate('reload');
    slot!.refork.left = true;
    assert.equal(core.workers.pending, pending);
  });
}
