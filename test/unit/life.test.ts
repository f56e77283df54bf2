import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { Faults } from '../../lib/kit/faults.js';
import { Life, threeStrikes, type Counts } from '../../lib/master/life.js';
import { running } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

function strikes(t: TestContext, seen: Partial<Counts & { expectsAgent: boolean; pending: boolean }>) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const now = { agent: 1, workers: 2, expectsAgent: true, pending: false, ...seen };
  const out: Counts[] = [];
  const stop = threeStrikes(1_000, new Faults(() => {}), () => now, (counts) => { out.push(counts); });
  return { now, out, stop, check: (times: number) => t.mock.timers.tick(1_000 * times) };
}

for (const [who, seen, strike] of [
  ['no worker', { workers: 0 }, true],
  ['no agent where one is expected', { agent: 0 }, true],
  ['no agent where none is expected', { agent: 0, expectsAgent: false }, false],
  ['no worker, and one about to come', { workers: 0, pending: true }, false],
  ['all there', {}, false],
] as const) {
  test(`${who}: ${strike ? 'out at the third check in a row' : 'never out'}`, (t) => {
    const { out, check } = strikes(t, seen);
    check(2);
    assert.deepEqual(out, []);
    check(1);
    assert.equal(out.length, strike ? 1 : 0);
  });
}

for (const good of ['workers', 'pending'] as const) {
  test(`two strikes and a check at which ${good === 'workers' ? 'one is there' : 'somebody starts'}: the count begins anew`, (t) => {
    const { now, out, check } = strikes(t, { workers: 0 });
    check(2);
    Object.assign(now, good === 'workers' ? { workers: 1 } : { pending: true });
    check(1);
    Object.assign(now, { workers: 0, pending: false });
    check(2);
    assert.deepEqual(out, []);
    check(1);
    assert.deepEqual(out, [{ agent: 1, workers: 0 }]);
  });
}

test('no check after the end', (t) => {
  const { out, stop, check } = strikes(t, { workers: 0 });
  check(2);
  stop();
  check(5);
  assert.deepEqual(out, []);
});

test('a cluster that nobody is left in closes with 1', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const { core, forks, errors } = await running(t);
  core.hooks.beforeRefork.tap('test', () => 'leave');
  for (const child of forks.all) child.exits(1);
  await turns();
  t.mock.timers.tick(20_000);
  await turns();
  assert.equal(core.life.closing, false);
  t.mock.timers.tick(10_000);
  await turns(20);
  assert.equal(await core.life.exited, 1);
  assert.match(errors.join(), /nobody is left to serve \(agent: 0, workers: 0\)/);
});

test('slots that their plugin fills again are no reason to give up', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const { core, forks } = await running(t);
  core.workers.leftReturn = true;
  core.hooks.beforeRefork.tap('test', () => 'leave');
  for (const child of forks.all) child.exits(1);
  await turns();
  t.mock.timers.tick(100_000);
  assert.equal(core.life.closing, false);
});

test('a life: hurry and end are told to those who wait, started and closing follow the state', async () => {
  const life = new Life();
  const seen = [life.started, life.closing];
  for (const event of ['start', 'agentReady', 'workersReady'] as const) life.enter(event);
  seen.push(life.started, life.closing);
  life.enter('reload');
  seen.push(life.started);
  life.enter('close');
  life.enter('reloadDone');
  seen.push(life.started, life.closing);
  assert.deepEqual(seen, [false, false, true, false, true, false, true]);
  assert.equal(life.state, 'closing', 'a reload that ends later changes nothing');
  life.hurry();
  life.end(7);
  await life.hurried;
  assert.equal(await life.exited, 7);
});
