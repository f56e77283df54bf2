import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { assertSound, fakeCore, running, watched } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

/** Two workers that run; slot 0 with its first process, and a successor that is forked. */
async function succeeding(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const fake = await running(t);
  const slot = fake.core.workers.slots[0]!;
  const first = fake.forks.in(0);
  const successor = watched(slot.succeed(fake.core.releases.current));
  await turns();
  const { successor: next } = slot;
  return { ...fake, fake, slot, first, second: fake.forks.in(0), successor, child: next! };
}

test('a death between ready and hand-over: the successor', async (t) => {
  const { fake, slot, first, second, successor, child } = await succeeding(t);
  second.ready();
  await turns();
  second.exits(1);
  await turns();
  assert.equal(successor.outcome.state, 'done');
  await assert.rejects(slot.handOver(child, 'reload'),
    { code: 'ERR_CLUSTER_START', message: /did not stay up until it took over: exited with code 1 \(crash\)/ });
  assert.equal(slot.current?.pid, first.pid);
  assert.equal(first.asked, null, 'the old one is untouched');
  assertSound(fake, 'afterwards');
});

test('a death between ready and hand-over, in the very turn of ready', async (t) => {
  const { slot, first, second, successor, child } = await succeeding(t);
  second.ready();
  second.exits(1);
  await turns();
  assert.equal(successor.outcome.state, 'done');
  await assert.rejects(slot.handOver(child, 'reload'), { code: 'ERR_CLUSTER_START' });
  assert.equal(slot.current?.pid, first.pid);
});

test('a death between ready and hand-over: the predecessor, which is not replaced twice', async (t) => {
  const { fake, slot, forks, first, second, child } = await succeeding(t);
  second.ready();
  first.exits(1);
  await turns();
  assert.equal(slot.ready, false);
  await slot.handOver(child, 'reload');
  assert.equal(slot.current?.pid, second.pid);
  t.mock.timers.tick(60_000);
  await turns();
  assert.equal(forks.of(0).length, 2);
  assertSound(fake, 'afterwards');
});

test('a death between ready and hand-over: both at once', async (t) => {
  const { fake, slot, forks, first, second, child } = await succeeding(t);
  second.ready();
  await turns();
  first.exits(null, 'SIGSEGV');
  second.exits(null, 'SIGSEGV');
  await turns();
  await assert.rejects(slot.handOver(child, 'reload'), { code: 'ERR_CLUSTER_START' });
  assertSound(fake, 'before the refork');
  t.mock.timers.tick(0);
  await turns();
  assert.equal(forks.of(0).length, 3, 'the death of the one in charge is made good');
});

test('a successor that leaves by itself between ready and hand-over stays known until it is gone', async (t) => {
  const { fake, slot, second, child } = await succeeding(t);
  second.ready();
  await turns();
  second.leaves('signal');
  await assert.rejects(slot.handOver(child, 'reload'), { code: 'ERR_CLUSTER_START', message: /it leaves/ });
  assertSound(fake, 'while it leaves');
  second.exits(0);
  await turns();
  assert.equal(slot.departures.children().length, 0);
});

test('an abandoned successor stays known until it is gone', async (t) => {
  const { fake, slot, second, successor } = await succeeding(t);
  second.manners.dies = false;
  void slot.abandon();
  assert.equal(second.killed, true);
  assertSound(fake, 'while it dies');
  second.exits(null, 'SIGKILL');
  await turns();
  assert.equal(successor.code, 'ERR_CLUSTER_START');
});

test('a successor that is abandoned before its gate has let it through never takes over', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const { core, forks } = await running(t);
  const slot = core.workers.slots[0]!;
  let open!: () => void;
  core.hooks.beforeForkWorker.tapPromise('slow', () => new Promise((resolve) => { open = resolve; }));
  const seen = watched(slot.replace(core.releases.current, 'reload'));
  await turns();
  await slot.abandon();
  open();
  await turns();
  forks.in(0).ready();
  await turns();
  assert.equal(seen.code, 'ERR_CLUSTER_START');
  assert.equal(slot.current?.pid, forks.of(0)[0]!.pid);
  assert.equal(forks.alive.length, 2);
});

test('a dismissed successor that becomes ready meanwhile does not take over', async (t) => {
  const { core, slot, first, second, child } = await succeeding(t);
  core.listeners.leave = () => true;
  second.manners.obeys = false;
  void slot.departures.dismiss(slot.successor!, 'abort');
  second.ready();
  await assert.rejects(slot.handOver(child, 'reload'), { code: 'ERR_CLUSTER_START' });
  assert.equal(slot.current?.pid, first.pid);
  await turns();
  assert.equal(second.asked, 'abort');
});

test('a successor that dies while its predecessor drains is replaced, and counted', async (t) => {
  const { core, fake, slot, forks, first, second, child } = await succeeding(t);
  first.manners.obeys = false;
  second.ready();
  await turns();
  const drained = watched(slot.handOver(child, 'reload'));
  await turns();
  second.exits(1);
  await turns();
  assert.equal(core.deaths.times.length, 1);
  t.mock.timers.tick(0);
  await turns();
  const third = forks.in(0);
  assert.equal(forks.of(0).length, 3);
  assertSound(fake, 'three of one slot');
  first.exits(0);
  third.ready();
  await turns();
  assert.equal(drained.outcome.state, 'done');
  assert.equal(slot.current?.pid, third.pid);
});

for (const closeComes of ['before the gate opens', 'when the process is there', 'when it is ready'] as const) {
  test(`a close while a process is forked: ${closeComes}`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
    const { core, forks } = fakeCore(t);
    let open!: () => void;
    core.hooks.beforeForkWorker.tapPromise('slow', () => new Promise((resolve) => { open = resolve; }));
    const [slot] = core.workers.addSlots(1);
    const seen = watched(slot!.start(core.releases.current));
    await turns();
    if (closeComes === 'before the gate opens') core.life.enter('close');
    open();
    await turns();
    if (closeComes === 'before the gate opens') {
      assert.equal(forks.all.length, 0, 'no process is started any more');
      assert.equal(seen.code, 'ERR_CLUSTER_CLOSING');
      return;
    }
    if (closeComes === 'when the process is there') core.life.enter('close');
    forks.last.ready();
    await turns();
    core.life.enter('close');
    assert.equal(seen.outcome.state, 'done', 'whoever closes sees to it');
    assert.equal(slot!.children().length, 1);
  });
}

for (const how of [new Error('spawn EAGAIN'), 'no descriptors'] as const) {
  const what = typeof how === 'string' ? how : how.message;
  test(`a fork that fails is told to who waits, and tried again where nobody does: ${what}`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
    const { core, fake, forks, errors } = await running(t, {
      refork: { limit: 60, duration: 60_000, minDelay: 0, maxDelay: 15_000, onLimit: 'degrade' },
    }).then((one) => ({ ...one, fake: one }));
    const slot = core.workers.slots[0]!;
    forks.failing = how;
    const seen = watched(slot.replace(core.releases.current, 'recycle'));
    await turns();
    t.mock.timers.tick(100);
    await turns();
    assert.ok(seen.outcome.state === 'failed' && /EAGAIN|EMFILE/.test(seen.outcome.error.message));
    assert.equal(slot.ready, true, 'the old one is untouched');
    forks.in(0).exits(1);
    for (let tries = 0; tries < 3; tries++) {
      await turns();
      assertSound(fake, `try ${tries}`);
      t.mock.timers.tick(15_000);
    }
    await turns();
    forks.failing = null;
    t.mock.timers.tick(15_000);
    await turns();
    forks.in(0).ready();
    assert.equal(slot.ready, true);
    assert.match(errors.join(), /slot 0 could not be filled again|could not be forked: spawn EMFILE/);
  });
}
