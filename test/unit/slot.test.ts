import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { assertSound, fakeCore, running, watched } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

const still = (t: TestContext) => t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });

/** Two workers that run, and slot 0 with its own. */
async function slotOf(t: TestContext) {
  still(t);
  const fake = await running(t);
  const slot = fake.core.workers.slots[0]!;
  const release = fake.core.releases.current;
  return { ...fake, fake, slot, release, first: fake.forks.in(0) };
}

test('start: resolves when its process is ready, with the process in charge', async (t) => {
  still(t);
  const { core, forks } = fakeCore(t);
  const [slot] = core.workers.addSlots(1);
  const seen = watched(slot!.start(core.releases.current));
  await turns();
  assert.equal(slot!.pending, true);
  forks.last.hello();
  await turns();
  assert.equal(slot!.ready, false);
  forks.last.ready();
  await turns();
  assert.ok(seen.outcome.state === 'done' && seen.outcome.value === slot!.current);
  assert.equal(slot!.pending, false);
  assert.equal(slot!.ready, true);
});

test('start: rejects with the process\'s own error, and nobody forks again behind the back of who waits', async (t) => {
  still(t);
  const { core, forks } = fakeCore(t);
  const [slot] = core.workers.addSlots(1);
  const seen = watched(slot!.start(core.releases.current));
  await turns();
  forks.last.fails(new Error('no database'));
  forks.last.exits(1);
  await turns();
  assert.equal(seen.code, 'ERR_CLUSTER_START');
  assert.match(seen.outcome.state === 'failed' ? seen.outcome.error.message : '', /worker#0 .* failed: no database/);
  t.mock.timers.tick(60_000);
  await turns();
  assert.equal(forks.all.length, 1);
  assert.equal(slot!.lastExit?.error, 'no database');
});

test('start: killed at startTimeout, and said so', async (t) => {
  still(t);
  const { core, forks } = fakeCore(t, { startTimeout: 3_000 });
  const [slot] = core.workers.addSlots(1);
  const seen = watched(slot!.start(core.releases.current));
  await turns();
  forks.last.hello();
  t.mock.timers.tick(2_999);
  assert.equal(forks.last.killed, false);
  t.mock.timers.tick(1);
  await turns();
  assert.equal(forks.last.killed, true);
  assert.equal(seen.code, 'ERR_CLUSTER_START_TIMEOUT');
});

test('replace: the successor is ready before its predecessor is asked to close', async (t) => {
  const { slot, forks, release, first, fake } = await slotOf(t);
  first.manners.obeys = false;
  const seen = watched(slot.replace(release, 'recycle'));
  await turns();
  const second = forks.in(0);
  assert.equal(slot.successor?.pid, second.pid);
  assert.equal(first.asked, null);
  second.ready();
  await turns();
  assert.equal(slot.current?.pid, second.pid);
  assert.equal(first.asked, 'recycle');
  assert.equal(seen.outcome.state, 'pending', 'it resolves when the old one is gone');
  assertSound(fake, 'while it drains');
  first.exits(0);
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assert.equal(slot.departures.children().length, 0);
  assert.equal(slot.restarts, 1);
});

test('replace: a predecessor that does not leave is killed at the deadline', async (t) => {
  const { core, slot, forks, release, first } = await slotOf(t);
  core.deadlines.drain = 2_000;
  first.manners.obeys = false;
  const seen = watched(slot.replace(release, 'recycle'));
  await turns();
  forks.in(0).ready();
  await turns();
  t.mock.timers.tick(2_499);
  assert.equal(first.killed, false);
  t.mock.timers.tick(1);
  await turns();
  assert.equal(first.killed, true);
  assert.equal(seen.outcome.state, 'done');
});

test('replace of the agent: one after the other', async (t) => {
  still(t);
  const { core, forks } = await running(t, { agent: true });
  const old = forks.in(-1);
  old.manners.obeys = false;
  const seen = watched(core.agent.replace(core.releases.current, 'reload', { retry: true }));
  await turns();
  assert.equal(old.asked, 'reload');
  assert.equal(forks.of(-1).length, 1);
  old.exits(0);
  await turns();
  assert.equal(forks.of(-1).length, 2);
  forks.in(-1).ready();
  await turns();
  assert.equal(seen.outcome.state, 'done');
});

test('vacate: nobody in charge, nobody forked; and the slot may be filled again', async (t) => {
  const { slot, forks, release, first } = await slotOf(t);
  await slot.vacate('reload');
  assert.equal(first.alive, false);
  assert.equal(slot.current, null);
  t.mock.timers.tick(60_000);
  await turns();
  assert.equal(forks.of(0).length, 1);
  const seen = watched(slot.replace(release, 'reload'));
  await turns();
  forks.in(0).ready();
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assert.equal(slot.ready, true);
});

test('dismiss: a process that nobody has reached is killed at once, one that is ready drains, one that drains is let be', async (t) => {
  const { slot, forks, release, first } = await slotOf(t);
  void watched(slot.succeed(release));
  await turns();
  await slot.departures.dismiss(slot.successor!, 'abort');
  assert.equal(forks.in(0).killed, true);
  first.manners.obeys = false;
  const child = slot.current!;
  const seen = [watched(slot.departures.dismiss(child, 'reload')), watched(slot.departures.dismiss(child, 'abort'))];
  await turns();
  seen.push(watched(slot.departures.dismiss(child, 'abort')));
  await turns();
  assert.deepEqual(first.closes, ['reload'], 'asked once');
  first.exits(0);
  await turns();
  assert.deepEqual(seen.map(({ outcome }) => outcome.state), ['done', 'done', 'done']);
});

for (const becomes of ['ready', 'stuck'] as const) {
  test(`dismiss: one that listens already is given a moment, `
    + `and is ${becomes === 'ready' ? 'drained when it gets there' : 'killed when it does not'}`, async (t) => {
    const { core, slot, forks, release } = await slotOf(t);
    core.listeners.leave = () => true;
    void watched(slot.succeed(release));
    await turns();
    const fake = forks.in(0);
    const seen = watched(slot.departures.dismiss(slot.successor!, 'abort'));
    await turns();
    assert.equal(fake.killed, false);
    if (becomes === 'ready') fake.ready();
    t.mock.timers.tick(1_000);
    await turns();
    assert.equal(seen.outcome.state, 'done');
    assert.equal(fake.killed, becomes === 'stuck');
    assert.equal(fake.asked, becomes === 'ready' ? 'abort' : null);
  });
}

test('remove: its processes drain, and none comes again', async (t) => {
  const { slot, forks, first } = await slotOf(t);
  first.manners.obeys = false;
  const seen = watched(slot.remove());
  await turns();
  assert.equal(first.asked, 'scale');
  first.exits(1);
  await turns();
  t.mock.timers.tick(60_000);
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assert.equal(forks.of(0).length, 1);
});

test('a gate that fails is no reason not to drain', async (t) => {
  const { core, slot, forks, release, errors, first } = await slotOf(t);
  core.hooks.beforeDrain.tapPromise('broken', async () => { throw new Error('not now'); });
  const seen = watched(slot.replace(release, 'recycle'));
  await turns();
  forks.in(0).ready();
  await turns();
  assert.equal(first.asked, 'recycle');
  assert.equal(seen.outcome.state, 'done');
  assert.match(errors.join(), /"broken" failed in hook beforeDrain: not now/);
});

for (const [what, spoil, said] of [
  ['no list of arguments', { execArgv: 7 }, 'expected a list of texts as execArgv, found 7'],
  ['a NUL in an argument', { execArgv: ['a\0'] }, 'expected a text without NUL as execArgv[0], found "a\\u0000"'],
  ['a symbol as a variable', { env: { A: Symbol('s') } }, 'expected a text without NUL as env.A, found Symbol(s)'],
  ['no variables', { env: null }, 'expected an object as env, found null'],
] as const) {
  test(`a tap that makes ${what} of a fork is named, and the fork is tried again`, async (t) => {
    const { core, forks, errors } = await running(t);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let spoils = true;
    core.hooks.beforeForkWorker.tap('odd', (spec) => { if (spoils) Object.assign(spec, spoil); });
    forks.in(0).exits(1);
    for (let n = 0; n < 3; n++) {
      await turns();
      t.mock.timers.tick(1_000);
    }
    await turns();
    assert.equal(forks.of(0).length, 1);
    assert.ok(errors.length > 0);
    await assert.rejects(core.workers.slots[0]!.start(core.releases.current),
      { code: 'ERR_CLUSTER_HOOK', message: `hook beforeForkWorker (plugin "odd"): ${said}` });
    spoils = false;
    t.mock.timers.tick(20_000);
    await turns();
    assert.equal(forks.of(0).length, 2);
  });
}
