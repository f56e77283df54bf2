import assert from 'node:assert/strict';
import test from 'node:test';
import { running } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

test('a slot that a fault has left with nothing is forked again', async (t) => {
  const fake = await running(t);
  const { core, forks } = fake;
  t.mock.timers.enable({ apis: ['setTimeout'] });
  // As if what follows an end had been lost in it.
  core.workers.slots[0]!.current = null;
  core.faults.caught('test', new Error('in the middle of it'));
  t.mock.timers.tick(100);
  t.mock.timers.tick(0);
  await turns();
  assert.equal(forks.of(0).length, 2);
  assert.notEqual(core.workers.slots[0]!.current, null);
});

test('what still has a timer, or was left on purpose, is left alone', async (t) => {
  const { core, forks } = await running(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  core.workers.slots[0]!.current = null;
  core.workers.slots[0]!.refork.after(60_000);
  core.workers.slots[1]!.current = null;
  core.workers.slots[1]!.refork.left = true;
  core.faults.caught('test', new Error('elsewhere'));
  t.mock.timers.tick(20_000);
  await turns();
  assert.equal(forks.all.length, 2);
});

test('an end that was not seen is seen', async (t) => {
  const { core, forks } = await running(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  forks.in(0).process.exitCode = 7;
  core.faults.caught('test', new Error('instead of the exit'));
  t.mock.timers.tick(100);
  await turns();
  t.mock.timers.tick(0);
  await turns();
  assert.equal(core.workers.slots[0]!.lastExit?.code, 7);
  assert.equal(forks.of(0).length, 2);
});

test('one that was to be killed and lives is killed again', async (t) => {
  const { core, forks } = await running(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  forks.in(0).manners.dies = false;
  void core.workers.slots[0]!.current?.kill('abort');
  assert.equal(forks.in(0).kills, 1);
  core.faults.caught('test', new Error('no signal was sent'));
  t.mock.timers.tick(100);
  assert.equal(forks.in(0).kills, 2);
});

test('while something is under way the slots are its matter, and are looked over after it', async (t) => {
  const { core, forks } = await running(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let done!: () => void;
  const task = core.tasks.run('reload', () => new Promise<void>((resolve) => { done = resolve; }));
  core.workers.slots[0]!.current = null;
  core.faults.caught('test', new Error('during a reload'));
  for (let n = 0; n < 10; n++) t.mock.timers.tick(5_000);
  assert.equal(forks.of(0).length, 1);
  done();
  await task;
  await turns();
  t.mock.timers.tick(5_000);
  t.mock.timers.tick(0);
  await turns();
  assert.equal(forks.of(0).length, 2);
});
