import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { reload } from '../../lib/master/operations/reload.js';
import { replaceWorker, scale } from '../../lib/master/operations/scale.js';
import { close } from '../../lib/master/operations/shutdown.js';
import { running, watched } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

/** Two workers that are ready a turn after their fork, and what the observing hooks of operations told. */
async function cluster(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const fake = await running(t, { workers: 2 });
  const { core, forks } = fake;
  forks.manners.boots = true;
  const told: string[] = [];
  core.hooks.scaled.tap('test', (from, to, operation) => { told.push(`scaled ${from}-${to} ${operation}`); });
  core.hooks.recycled.tap('test', (child, successor, operation) => { told.push(`recycled ${child.id}-${successor.id} ${operation}`); });
  core.hooks.drained.tap('test', (child, exit, operation) => { told.push(`drained ${child.slot} ${exit.cause} ${operation}`); });
  core.hooks.reforkDelayed.tap('test', (slot, delay, inRow) => { told.push(`delayed ${slot} ${delay > 0} ${inRow}`); });
  return { ...fake, told };
}

test('scaling down, then up: each has its number', async (t) => {
  const { core, told } = await cluster(t);
  await scale(core, 1);
  await turns();
  await scale(core, 2);
  assert.deepEqual(told, ['drained 1 requested scale-1', 'scaled 2-1 scale-1', 'scaled 1-2 scale-2']);
});

test('a scale that fails has not happened', async (t) => {
  const { core, forks, told } = await cluster(t);
  forks.manners.boots = false;
  const seen = watched(scale(core, 3));
  await turns();
  forks.in(2).exits(1);
  await turns();
  assert.equal(seen.code, 'ERR_CLUSTER_START');
  assert.deepEqual(told.filter((line) => line.startsWith('scaled')), []);
});

test('recycling tells who has come for whom; a reload tells who has drained', async (t) => {
  const { core, forks, told } = await cluster(t);
  const [first] = core.workers.children();
  const replaced = watched(replaceWorker(core, first!, 'recycle'));
  await turns(12);
  assert.equal(replaced.outcome.state, 'done');
  assert.deepEqual(told, ['recycled 1-3 recycling-1', 'drained 0 requested recycling-1']);
  told.length = 0;
  await turns();
  const done = watched(reload(core, 'test', { agent: false }));
  await turns(24);
  assert.equal(done.outcome.state, 'done');
  assert.deepEqual(told, ['drained 0 requested reload-2', 'drained 1 requested reload-2']);
  assert.ok(forks.alive.length === 2);
});

test('one that leaves by its own decision is part of none, a crash is no drain, a close is close', async (t) => {
  const { core, forks, told } = await cluster(t);
  forks.in(0).leaves('signal');
  await turns();
  forks.in(0).exits(0);
  await turns();
  assert.deepEqual(told, ['drained 0 requested null']);
  forks.in(1).exits(null, 'SIGSEGV');
  await turns();
  assert.deepEqual(told.filter((line) => line.startsWith('drained')).length, 1);
  t.mock.timers.tick(20_000);
  await turns();
  void close(core, 'test');
  await turns(24);
  assert.ok(told.some((line) => line.startsWith('drained') && line.endsWith('close')), told.join());
});

test('a slot that is filled later is told, with how long and why', async (t) => {
  const { core, forks, told } = await cluster(t);
  forks.manners.boots = false;
  for (let death = 0; death < 3; death++) {
    forks.in(1).exits(1);
    await turns();
    t.mock.timers.tick(20_000);
    await turns();
  }
  assert.ok(told.some((line) => /^delayed 1 true \d$/.test(line)), told.join());
  assert.equal(core.workers.slots.length, 2);
});
