import assert from 'node:assert/strict';
import test from 'node:test';
import { runOwned } from '../../lib/kit/faults.js';
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

test('a plugin that explains an end by throwing loses no slot, and is named', async (t) => {
  const { core, forks, errors } = await running(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  runOwned('odd', () => { core.workers.slots[0]!.current!.explain = () => { throw new Error('no idea'); }; });
  forks.in(0).exits(1);
  await turns();
  t.mock.timers.tick(0);
  await turns();
  assert.equal(core.workers.slots[0]!.lastExit?.cause, 'crash');
  assert.equal(forks.of(0).length, 2);
  assert.ok(errors.some((line) => /child\.explain: no idea \(begun by plugin "odd"\)/.test(line)), errors.join('\n'));
});

for (const given of [42, 'crash of some kind', {}, Promise.resolve('crash')]) {
  test(`one whose explanation is ${typeof given} ${String(given)} loses none either`, async (t) => {
    const { core, forks, errors } = await running(t);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    core.workers.slots[0]!.current!.explain = () => given as never;
    forks.in(0).exits(1);
    await turns();
    t.mock.timers.tick(0);
    await turns();
    assert.equal(core.workers.slots[0]!.lastExit?.cause, 'crash');
    assert.equal(forks.of(0).length, 2);
    assert.ok(errors.some((line) => line.includes('child.explain: expected one of requested, crash,')), errors.join('\n'));
  });
}

test('what is no function is refused where it is set', async (t) => {
  const { core } = await running(t);
  const child = core.workers.slots[0]!.current!;
  assert.throws(() => { child.explain = 42 as never; },
    { code: 'ERR_CLUSTER_USAGE', message: 'child.explain: expected a function or null, found 42' });
});

test('what a plugin sets as waited for spoils no end', async (t) => {
  const { core, forks } = await running(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  core.workers.slots[0]!.current!.waiting = { requests: 1, streams: 0, sockets: 0, tasks: [], inFlight: 5 as never };
  forks.in(0).exits(1);
  await turns();
  t.mock.timers.tick(0);
  await turns();
  assert.equal(forks.of(0).length, 2);
});

test('a child that cannot be looked over keeps nobody from the others', async (t) => {
  const { core, forks } = await running(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  core.workers.slots[0]!.current!.lookAgain = () => { throw new Error('not this one'); };
  forks.in(1).process.exitCode = 7;
  core.faults.caught('test', new Error('instead of the exit'));
  t.mock.timers.tick(100);
  await turns();
  t.mock.timers.tick(0);
  await turns();
  assert.equal(core.workers.slots[1]!.lastExit?.code, 7);
});

test('a slot whose process has ended, and what follows that was lost, is forked again', async (t) => {
  const { core, forks } = await running(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const slot = core.workers.slots[0]!;
  const child = slot.current!;
  slot.current = null;
  forks.in(0).exits(1);
  await turns();
  slot.current = child;
  core.faults.caught('test', new Error('in the middle of it'));
  t.mock.timers.tick(100);
  t.mock.timers.tick(0);
  await turns();
  assert.equal(forks.of(0).length, 2);
});
