import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { reload } from '../../lib/master/operations/reload.js';
import { scale } from '../../lib/master/operations/scale.js';
import { Following, type Limits } from '../../plugins/container/following.js';
import { running } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

const MB = 2 ** 20;

/** A cluster of two workers that follows what a test says; all heaps are right while `heaps.stale` is false. */
async function followed(t: TestContext) {
  const heaps = { wanted: null as number | null, stale: false };
  let following!: Following;
  const fake = await running(t, { workers: 2 }, { name: 'followed', apply(master) {
    following = new Following(master, heaps);
    master.hooks.reloaded.tap('followed', ({ ok }) => { heaps.stale &&= !ok; });
  } });
  fake.forks.manners.boots = true;
  const lines: string[] = [];
  fake.core.logger.info = (text) => { lines.push(text); };
  fake.core.logger.warn = fake.core.logger.info;
  const limits: Limits = { cpus: 2, memory: { limit: 512 * MB, workingSet: 0 }, workers: 2 };
  const look = async (now = 0) => {
    following.look({ ...limits }, now);
    await turns(30);
  };
  await look();
  return { ...fake, heaps, limits, look, lines, count: () => fake.core.workers.slots.length };
}

test('another quota: told at once, followed when a second look says the same', async (t) => {
  const { limits, look, lines, count } = await followed(t);
  Object.assign(limits, { cpus: 0.5, workers: 1 });
  await look();
  assert.deepEqual(lines, ['the container\'s limits have changed: processors 2 -> 0.5']);
  assert.equal(count(), 2);
  await look();
  assert.equal(count(), 1);
  Object.assign(limits, { cpus: null, workers: 3 });
  await look();
  await look();
  assert.equal(count(), 3);
});

test('a number that somebody has said, or scaled to, is left alone', async (t) => {
  const { core, limits, look, lines, count } = await followed(t);
  await scale(core, 5);
  limits.workers = 1;
  await look();
  assert.equal(count(), 5);
  assert.match(lines.at(-1)!, /^workers: auto would be 1 now; there are 5, as somebody has scaled them$/);
  const told = lines.length;
  await look();
  assert.equal(lines.length, told, 'said once');
  const said = await followed(t);
  said.limits.workers = null;
  await said.look();
  await said.look();
  // A reload has made it `auto`: that waits for a restart, as any number does.
  said.limits.workers = 7;
  await said.look();
  await said.look();
  assert.equal(said.count(), 2);
});

test('heaps follow by one rolling reload, after the workers', async (t) => {
  const { core, heaps, limits, look, lines, count } = await followed(t);
  Object.assign(limits, { workers: 1, memory: { limit: 256 * MB, workingSet: 0 } });
  Object.assign(heaps, { stale: true, wanted: 70 });
  await look();
  await look();
  assert.deepEqual([count(), core.releases.current.generation], [1, 1]);
  await look();
  assert.equal(core.releases.current.generation, 2);
  assert.equal(core.lastReload?.reason, 'heaps of 70 MB, memory limit 256 MB');
  await look();
  await look();
  assert.equal(core.releases.current.generation, 2);
  assert.equal(lines[0], 'the container\'s limits have changed: memory 512 MB -> 256 MB');
});

test('while something else is under way it waits, and then is done', async (t) => {
  const { core, forks, limits, look, count } = await followed(t);
  forks.manners.boots = false;
  const done = reload(core, 'test', { agent: false });
  await turns();
  limits.workers = 1;
  await look();
  await look();
  await look();
  assert.equal(count(), 2);
  forks.manners.boots = true;
  forks.in(0).ready();
  await done;
  await look();
  await look();
  assert.equal(count(), 1);
});

test('what cannot be followed is tried again, less and less often', async (t) => {
  const { core, heaps, look, lines } = await followed(t);
  core.hooks.beforeReload.tap('careful', () => 'not on a Friday');
  heaps.stale = true;
  const start = performance.now() + 1_000_000;
  await look(start);
  await look(start);
  assert.match(lines.at(-1)!, /^the container's limits could not be followed \(.*\); the next try is in 5000ms$/);
  const told = lines.length;
  await look(performance.now() + 4_900);
  await look(performance.now() + 4_900);
  assert.equal(lines.length, told);
  await look(performance.now() + 5_100);
  await look(performance.now() + 5_100);
  assert.match(lines.at(-1)!, /the next try is in 10000ms$/);
});
