import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { reload } from '../../lib/master/operations/reload.js';
import { Pressure } from '../../plugins/container/pressure.js';
import { running } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

const MB = 2 ** 20;
const LIMIT = 500 * MB;
const MINUTE = 60_000;

/** Two workers; `sizes`: what a worker has to itself, MB, by its slot; `others`: all but the workers. */
async function pressed(t: TestContext, { sizes = [10, 10] as number[], others = 100 } = {}) {
  let pressure!: Pressure;
  const slotOf = new Map<number, number>();
  const own = (pid: number): number => (sizes[slotOf.get(pid) ?? -1] ?? 0) * MB;
  const fake = await running(t, { workers: 2 }, { name: 'pressed', apply(master) {
    master.hooks.workerForked.tap('pressed', ({ pid, slot }) => { slotOf.set(pid, slot); });
    pressure = new Pressure('pressed', master, own);
  } });
  fake.forks.manners.boots = true;
  const warnings: string[] = [];
  fake.core.logger.warn = (text) => { warnings.push(text); };
  const look = async (now: number, workingSet = (sizes.reduce((sum, size) => sum + size, 0) + others) * MB) => {
    pressure.look({ limit: LIMIT, workingSet }, now);
    await turns(20);
  };
  const forked = (): number[] => [0, 1].map((slot) => fake.forks.of(slot).length);
  return { ...fake, sizes, warnings, look, forked };
}

test('over nine tenths of the limit the largest worker is recycled, at most one a minute', async (t) => {
  const { sizes, look, forked, warnings } = await pressed(t);
  await look(0);
  Object.assign(sizes, [150, 199]);
  await look(1);
  assert.deepEqual([forked(), warnings], [[1, 1], []], 'just below');
  Object.assign(sizes, [150, 215]);
  await look(2);
  assert.deepEqual(forked(), [1, 2]);
  assert.match(warnings.join(), /^memory: 465 MB of the 500 MB that this container may have are in use; at the limit the kernel kills/);
  await look(MINUTE + 1);
  assert.deepEqual(forked(), [1, 2], 'not within a minute');
  Object.assign(sizes, [315, 50]);
  await look(MINUTE + 2);
  assert.deepEqual(forked(), [2, 2]);
  assert.equal(warnings.length, 1, 'one bout, one warning');
  await look(MINUTE + 3, 100 * MB);
  await look(MINUTE + 4);
  assert.equal(warnings.length, 2);
});

test('a worker that was over its share when it became ready is left alone, which is said once', async (t) => {
  const one = await pressed(t, { sizes: [250, 10] });
  Object.assign(one.sizes, [250, 110]);
  await one.look(0);
  assert.deepEqual(one.forked(), [1, 2], 'the other one is the largest of those that may go');
  const tight = await pressed(t, { sizes: [190, 190] });
  await tight.look(0);
  await tight.look(MINUTE);
  assert.deepEqual(tight.forked(), [1, 1]);
  assert.equal(tight.warnings.length, 2);
  assert.match(tight.warnings[1]!, /^memory: no worker can be recycled for it: each had more than its share of 175 MB/);
});

test('while something else is under way nobody is recycled, and the minute does not begin', async (t) => {
  const { core, forks, sizes, look, forked } = await pressed(t);
  forks.manners.boots = false;
  const done = reload(core, 'test', { agent: false });
  await turns();
  await look(0, 465 * MB);
  assert.deepEqual(forked(), [2, 1], 'the reload\'s own');
  forks.manners.boots = true;
  forks.in(0).ready();
  await done;
  Object.assign(sizes, [150, 215]);
  await look(1);
  assert.deepEqual(forked(), [2, 3]);
});

test('a successor that does not start: the worker goes on, the next try is a minute later', async (t) => {
  const { forks, sizes, look, forked, errors } = await pressed(t);
  Object.assign(sizes, [150, 215]);
  forks.manners.boots = false;
  const first = look(0);
  await first;
  forks.in(1).exits(1);
  await turns(20);
  assert.match(errors.join(), /worker#1 \(pid \d+\) could not be recycled for its memory/);
  await look(1);
  assert.deepEqual(forked(), [1, 2]);
  await look(MINUTE);
  assert.deepEqual(forked(), [1, 3]);
  forks.in(1).ready();
  await turns(20);
});

test('those that only finish streams go first; a worker only when they have not made room in time', async (t) => {
  const { core, forks, sizes, look, forked } = await pressed(t);
  core.deadlines.streams = 600_000;
  const old = forks.in(1);
  old.manners.obeys = false;
  const done = reload(core, 'test', { agent: false });
  await turns(20);
  old.channel.send('child.onlyStreams', null);
  await done;
  assert.deepEqual(core.ducks.children().map(({ pid }) => pid), [old.pid]);
  Object.assign(sizes, [150, 215]);
  await look(0);
  await look(4_999);
  assert.deepEqual([old.moves, forked()], [1, [2, 2]]);
  await look(5_000);
  assert.deepEqual([old.moves, forked()], [1, [2, 3]], 'told once');
  old.exits(0);
  await turns(20);
});

test('where there is no room for a successor beside it the worker leaves first', async (t) => {
  const { forks, sizes, look, forked } = await pressed(t, { sizes: [20, 20], others: 60 });
  const old = forks.in(1);
  old.manners.obeys = false;
  Object.assign(sizes, [150, 255]);
  await look(0);
  assert.deepEqual([old.asked, forked()], ['recycle', [1, 1]]);
  old.exits(0);
  await turns(20);
  assert.deepEqual(forked(), [1, 2]);
  sizes[1] = 20;
  await look(1);
  await look(MINUTE, 490 * MB);
  assert.deepEqual([forks.of(0)[0]!.asked, forked()], ['recycle', [2, 2]]);
});

test('what stands by is ended before anything else, and has a moment to be gone', async (t) => {
  const { sizes, look, forked, core } = await pressed(t);
  let waiting = 1;
  core.shared.set('standby', { plugin: 'standby', value: { makeRoom: () => waiting-- > 0 } });
  Object.assign(sizes, [150, 215]);
  await look(0);
  assert.deepEqual(forked(), [1, 1]);
  await look(4_999);
  assert.deepEqual(forked(), [1, 1]);
  await look(5_000);
  assert.deepEqual(forked(), [1, 2], 'it was not enough');
});
