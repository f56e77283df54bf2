import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Config } from '../../lib/config/schema.js';
import { reload } from '../../lib/master/operations/reload.js';
import { restart } from '../../lib/master/operations/restart.js';
import { scale } from '../../lib/master/operations/scale.js';
import { close } from '../../lib/master/operations/shutdown.js';
import { status } from '../../lib/master/plugins/face.js';
import standby from '../../plugins/standby/index.js';
import { assertSound, running, watched } from '../helpers/fake-core.js';
import { turns, type FakeChild } from '../helpers/fake-forker.js';

/** Until the next one that is to wait is started. */
const SOON = 150;
const NO_SLOT = -1;

/** Two workers that run, and what waits beside them. */
async function standing(t: TestContext, config: Partial<Omit<Config, 'agent'>> = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const events: string[] = [];
  const fake = await running(t, { workers: 2, standby: 1, ...config }, standby as never);
  const { core, forks } = fake;
  core.hooks.standbyReady.tap('test', ({ pid }) => { events.push(`standbyReady ${pid}`); });
  core.hooks.adopted.tap('test', ({ pid }, slot) => { events.push(`adopted ${pid} ${slot}`); });
  const pass = async (ms: number) => {
    t.mock.timers.tick(ms);
    await turns(10);
  };
  /** The ones that wait, or are on their way to. */
  const waiting = (): FakeChild[] => forks.alive.filter(({ pid }) => core.standbys.children().some((one) => one.pid === pid));
  const loaded = async (): Promise<FakeChild> => {
    await pass(SOON);
    const one = waiting().at(-1);
    assert.ok(one, 'nobody waits');
    one.loads();
    await turns();
    return one;
  };
  /** Its slot has heard of it. */
  const dies = async (child: FakeChild) => {
    child.exits(null, 'SIGKILL');
    await turns();
    await pass(0);
  };
  const sound = (where: string) => assertSound(fake, where);
  return { ...fake, fake, events, pass, waiting, loaded, dies, sound };
}

test('once all are ready one is started that is in no slot, and takes part in nothing', async (t) => {
  const { core, forks, pass, waiting, events, told } = await standing(t);
  assert.equal(forks.all.length, 2);
  await pass(SOON - 1);
  assert.equal(forks.all.length, 2, 'the first answers come first');
  await pass(1);
  const [one] = waiting();
  assert.equal(forks.all.length, 3);
  assert.equal(one!.spec.standby, true);
  assert.equal(one!.spec.slot, NO_SLOT);
  assert.equal(one!.spec.env.CLUSTER_SLOT, undefined);
  assert.equal(one!.boot?.standby, true);
  assert.equal(one!.boot?.processTitle, 'unit: standby');
  one!.loads();
  await turns();
  assert.deepEqual(events, [`standbyReady ${one!.pid}`]);
  assert.deepEqual(told.slice(-1), [`workerForked ${NO_SLOT}`]);
  const told_ = await status(core);
  assert.deepEqual(told_.standby.map(({ pid, slot, state }) => [pid, slot, state]), [[one!.pid, null, 'loaded']]);
  assert.equal(told_.workers.length, 2);
  assert.equal(told_.state, 'running');
  await pass(60_000);
  assert.equal(forks.all.length, 3, 'however long it waits');
});

test('a slot whose worker dies has it at once, and another one is started behind', async (t) => {
  const { core, forks, loaded, waiting, events, pass, sound, dies } = await standing(t);
  const one = await loaded();
  await dies(forks.in(1));
  assert.deepEqual(one.adoption && [one.adoption.slot, one.adoption.processTitle], [1, 'unit: worker#1']);
  assert.equal(events.at(-1), `adopted ${one.pid} 1`);
  assert.equal(core.workers.slots[1]!.current?.pid, one.pid);
  assert.equal(core.workers.slots[1]!.current?.slot, 1);
  one.hears();
  one.ready();
  await turns();
  assert.equal(core.workers.slots[1]!.ready, true);
  assert.equal(forks.all.length, 3, 'no other was forked');
  assert.equal((await status(core)).standby.length, 0);
  await pass(SOON);
  assert.equal(waiting().length, 1);
  sound('behind');
});

test('its life in the slot begins with that: a crash soon after is one of a row', async (t) => {
  const { core, forks, loaded, pass, dies } = await standing(t);
  const one = await loaded();
  await pass(120_000);
  await dies(forks.in(0));
  one.hears();
  one.ready();
  await turns();
  await pass(10);
  one.exits();
  await turns();
  const { lastExit, refork } = core.workers.slots[0]!;
  assert.ok(lastExit!.uptime < 1_000, `${lastExit!.uptime}`);
  assert.equal(refork.inRow, 2);
});

test('of two slots that are empty one is served by it, the other as without', async (t) => {
  const { forks, loaded, core, dies } = await standing(t);
  const one = await loaded();
  forks.in(0).exits();
  await dies(forks.in(1));
  assert.equal(one.adoption?.slot, 0);
  assert.equal(forks.of(1).length, 2);
  assert.equal(core.workers.slots[1]!.current?.pid, forks.in(1).pid);
});

test('one that still loads is left to do so where a slot is empty: nobody waits longer than without it', async (t) => {
  const { forks, pass, waiting, core, dies } = await standing(t);
  await pass(SOON);
  await dies(forks.in(0));
  assert.equal(forks.of(0).length, 2);
  assert.equal(waiting().length, 1);
  assert.equal(core.workers.slots[0]!.current?.pid, forks.in(0).pid);
});

test('a reload begins with one of the new release, as soon as that has loaded, and then ends the old one', async (t) => {
  const { core, forks, loaded, waiting, pass, sound } = await standing(t);
  const old = await loaded();
  const seen = watched(reload(core, 'test'));
  await turns();
  const canary = forks.last;
  assert.deepEqual([canary.spec.standby, canary.spec.generation, canary.spec.slot], [true, 2, NO_SLOT]);
  assert.equal(forks.in(0).asked, null);
  canary.loads();
  await turns();
  assert.equal(canary.adoption?.slot, 0);
  assert.equal(forks.in(0).asked, null, 'not before it is ready');
  canary.hears();
  canary.ready();
  await turns();
  assert.equal(forks.in(0).asked, 'reload');
  const second = forks.in(1);
  assert.deepEqual([second.spec.standby, second.spec.generation], [false, 2]);
  assert.equal(old.alive, true, 'an old worker may still die');
  second.ready();
  await turns(10);
  assert.equal(seen.outcome.state, 'done');
  await turns();
  assert.equal(old.asked, 'reload');
  assert.equal(old.alive, false);
  await pass(SOON);
  assert.deepEqual(waiting().map(({ spec }) => spec.generation), [2]);
  sound('reloaded');
});

test('new code that does not load aborts the reload with its own error, and the old one waits on', async (t) => {
  const { core, forks, loaded, waiting, sound, dies } = await standing(t);
  const old = await loaded();
  const seen = watched(reload(core, 'test'));
  await turns();
  const canary = forks.last;
  canary.hello();
  canary.fails(new Error('no database'));
  canary.exits(1);
  await turns(10);
  assert.equal(seen.code, 'ERR_CLUSTER_RELOAD_ABORTED');
  const message = seen.outcome.state === 'failed' ? seen.outcome.error.message : '';
  assert.match(message, /standby \(pid \d+\) failed: no database; the old workers are/);
  assert.deepEqual(waiting().map(({ pid }) => pid), [old.pid]);
  await dies(forks.in(0));
  assert.equal(old.adoption?.slot, 0);
  sound('aborted');
});

test('what was started of a release whose reload is aborted later goes with it', async (t) => {
  const { core, forks, loaded, waiting, pass, sound } = await standing(t);
  const old = await loaded();
  const seen = watched(reload(core, 'test'));
  await turns();
  const canary = forks.last;
  forks.in(0).manners.obeys = false;
  canary.loads();
  await turns();
  canary.hears();
  canary.ready();
  await turns();
  await pass(SOON);
  const next = waiting().find(({ spec }) => spec.generation === 2);
  assert.ok(next, 'the next one is started while the old worker drains');
  forks.of(0)[0]!.exits(0);
  await turns();
  next.fails(new Error('the second fails'));
  next.exits(1);
  await turns(10);
  assert.equal(seen.code, 'ERR_CLUSTER_RELOAD_ABORTED');
  await turns();
  assert.deepEqual(waiting().map(({ pid }) => pid), [old.pid]);
  sound('aborted later');
});

test('an old worker that dies while a reload loads its first one has the old one', async (t) => {
  const { core, forks, loaded, dies } = await standing(t);
  const old = await loaded();
  void watched(reload(core, 'test'));
  await turns();
  await dies(forks.in(1));
  assert.equal(old.adoption?.slot, 1);
  assert.equal(core.workers.slots[1]!.current?.pid, old.pid);
});

test('a restart leaves none of the old release', async (t) => {
  const { core, forks, loaded, waiting, pass } = await standing(t);
  const old = await loaded();
  const seen = watched(restart(core, 'test'));
  await turns(10);
  for (const one of forks.alive.filter(({ spec }) => spec.generation === 2)) {
    if (one.spec.standby) one.loads();
    await turns();
    one.ready();
  }
  await turns(10);
  assert.equal(seen.outcome.state, 'done');
  await pass(SOON);
  assert.equal(old.alive, false);
  await pass(SOON);
  assert.deepEqual(waiting().map(({ spec }) => spec.generation), [2]);
});

test('scaling up takes it first', async (t) => {
  const { core, forks, loaded } = await standing(t);
  const one = await loaded();
  const seen = watched(scale(core, 3));
  await turns();
  assert.equal(one.adoption?.slot, 2);
  one.hears();
  one.ready();
  await turns(10);
  assert.equal(seen.outcome.state, 'done');
  assert.equal(forks.all.length, 3);
});

test('one that dies as it waits is replaced, with growing pauses where that goes on', async (t) => {
  const { forks, loaded, waiting, pass, core, sound } = await standing(t);
  const one = await loaded();
  one.exits();
  await turns();
  await pass(999);
  assert.equal(waiting().length, 0);
  await pass(1);
  assert.equal(waiting().length, 1);
  waiting()[0]!.exits();
  await turns();
  await pass(1_999);
  assert.equal(waiting().length, 0);
  await pass(1);
  assert.equal(waiting().length, 1);
  assert.equal(core.deaths.times.length, 0, 'no slot has lost anything');
  assert.equal(forks.of(0).length + forks.of(1).length, 2);
  sound('died');
});

test('one that hangs as it loads is killed at startTimeout', async (t) => {
  const { pass, waiting } = await standing(t, { startTimeout: 3_000 });
  await pass(SOON);
  const [one] = waiting();
  one!.hello();
  await pass(2_999);
  assert.equal(one!.killed, false);
  await pass(1);
  assert.equal(one!.killed, true);
  assert.equal(waiting().length, 0);
});

test('one that hangs as it waits costs its slot two seconds, and no more', async (t) => {
  const { forks, loaded, pass, core, dies } = await standing(t);
  const one = await loaded();
  await dies(forks.in(0));
  assert.equal(one.adoption?.slot, 0);
  await pass(1_999);
  assert.equal(one.killed, false);
  await pass(1);
  assert.equal(one.killed, true);
  await pass(0);
  assert.equal(core.workers.slots[0]!.current?.pid, forks.in(0).pid);
  assert.notEqual(forks.in(0).pid, one.pid);
});

test('one that has heard has the time of any start', async (t) => {
  const { forks, loaded, pass, dies } = await standing(t, { startTimeout: 5_000 });
  const one = await loaded();
  await dies(forks.in(0));
  one.hears();
  await turns();
  await pass(4_999);
  one.hears();
  await turns();
  assert.equal(one.killed, false);
  await pass(1);
  assert.equal(one.killed, true, 'saying so again wins nothing');
});

test('one that says that it is ready and is in no slot is cut off', async (t) => {
  const { loaded, core } = await standing(t);
  const one = await loaded();
  one.ready();
  await turns();
  assert.equal(one.killed, true);
  assert.equal(core.workers.slots.every(({ ready }) => ready), true);
});

test('a stop ends it, also while it loads', async (t) => {
  for (const isLoaded of [true, false]) {
    const { core, pass, loaded, waiting, forks } = await standing(t);
    if (isLoaded) await loaded();
    else await pass(SOON);
    const [one] = waiting();
    const seen = watched(close(core, 'test'));
    await turns(20);
    assert.equal(one!.asked, 'stop');
    assert.equal(seen.outcome.state, 'done');
    assert.deepEqual(forks.alive, []);
    t.mock.timers.reset();
  }
});

test('`perSlot`: so many for each slot, which know theirs from the start', async (t) => {
  const { core, forks, loaded, waiting, pass, dies } = await standing(t, { standby: { count: 1, perSlot: true } });
  const first = await loaded();
  const second = await loaded();
  assert.deepEqual([first, second].map(({ spec }) => [spec.slot, spec.env.CLUSTER_SLOT]), [[0, '0'], [1, '1']]);
  await pass(60_000);
  assert.equal(waiting().length, 2);
  await dies(forks.of(1)[0]!);
  assert.equal(second.adoption?.slot, 1);
  assert.equal(first.adoption, null);
  second.hears();
  second.ready();
  await turns();
  void watched(scale(core, 1));
  await turns(10);
  await pass(SOON);
  assert.deepEqual(waiting().map(({ spec }) => spec.slot), [0], 'those of a slot that is gone go');
});

test('for want of memory they are ended, and none comes for a minute', async (t) => {
  const { core, loaded, waiting, pass } = await standing(t);
  const one = await loaded();
  const { makeRoom } = core.shared.get('standby')!.value as { makeRoom(): boolean };
  assert.equal(makeRoom(), true);
  await turns();
  assert.equal(one.alive, false);
  assert.equal(makeRoom(), false);
  await pass(59_999);
  assert.equal(waiting().length, 0);
  await pass(1);
  assert.equal(waiting().length, 1);
});

test('a number that a reload has changed counts', async (t) => {
  const { core, loaded, waiting, pass } = await standing(t);
  await loaded();
  core.releases.current.loaded.config.standby = 2;
  core.hooks.scaleChanged.call(2, 2);
  await loaded();
  assert.equal(waiting().length, 2);
  core.releases.current.loaded.config.standby = 0;
  core.hooks.scaleChanged.call(2, 2);
  await pass(SOON);
  assert.equal(waiting().length, 0);
});
