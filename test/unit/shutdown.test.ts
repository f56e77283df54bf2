import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { close } from '../../lib/master/operations/shutdown.js';
import { reload } from '../../lib/master/operations/reload.js';
import { scale } from '../../lib/master/operations/scale.js';
import { running, watched } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

async function cluster(t: TestContext, { agent = true } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  return running(t, { agent });
}

test('workers drain all at once, the agent closes last, then all is told', async (t) => {
  const { core, forks, told } = await cluster(t);
  for (const child of forks.all) child.manners.obeys = false;
  core.hooks.beforeClose.tap('test', (reason) => { told.push(`beforeClose ${reason}`); });
  core.hooks.closed.tap('test', (reason) => { told.push(`closed ${reason}`); });
  told.length = 0;
  core.cleanup.push(() => told.push('undone first'), () => told.push('undone last'));
  const seen = watched(close(core, 'test'));
  await turns();
  assert.equal(core.life.state, 'closing');
  assert.deepEqual([-1, 0, 1].map((slot) => forks.in(slot).asked), [null, 'stop', 'stop']);
  forks.in(1).exits(0);
  await turns();
  assert.equal(forks.in(-1).asked, null, 'a worker may still need it');
  forks.in(0).exits(0);
  await turns();
  assert.equal(forks.in(-1).asked, 'stop');
  forks.in(-1).exits(0);
  await turns();
  assert.deepEqual(seen.outcome, { state: 'done', value: 0 });
  assert.equal(core.life.state, 'closed');
  assert.deepEqual(told,
    ['beforeClose test', 'workerExit 1', 'workerExit 0', 'agentExit -1', 'closed test', 'undone last', 'undone first']);
});

test('several closes are one: the first one\'s code, the first one\'s reason', async (t) => {
  const { core } = await cluster(t);
  const codes = await Promise.all([close(core, 'a', { code: 3 }), close(core, 'b', { code: 4 })]);
  assert.deepEqual(codes, [3, 3]);
  assert.equal(await core.life.exited, 3);
});

test('nothing is asked of a cluster that closes', async (t) => {
  const { core, forks } = await cluster(t);
  const closed = close(core, 'test');
  for (const asked of [reload(core, 'x'), reload(core, 'x', { queue: true }), scale(core, 3)]) {
    await assert.rejects(asked, { code: 'ERR_CLUSTER_CLOSING' });
  }
  await closed;
  assert.equal(forks.all.length, 3);
});

test('who does not leave is killed at its deadline, the agent\'s after the workers\'', async (t) => {
  const { core, forks } = await cluster(t);
  Object.assign(core.deadlines, { drain: 3_000, agent: 2_000 });
  for (const child of forks.all) child.manners.obeys = false;
  const seen = watched(close(core, 'test'));
  await turns();
  t.mock.timers.tick(3_500);
  await turns();
  assert.deepEqual([-1, 0, 1].map((slot) => forks.in(slot).killed), [false, true, true]);
  t.mock.timers.tick(2_500);
  await turns();
  assert.equal(forks.in(-1).killed, true);
  assert.equal(seen.outcome.state, 'done');
});

for (const when of ['during the shutdownDelay', 'while workers drain', 'while the agent closes', 'from the first'] as const) {
  test(`a hurry ${when} kills what is left`, async (t) => {
    const { core, forks } = await cluster(t);
    core.deadlines.shutdownDelay = 10_000;
    for (const child of forks.all) child.manners.obeys = false;
    const seen = watched(close(core, 'test', { force: when === 'from the first' }));
    await turns();
    if (when === 'while workers drain' || when === 'while the agent closes') {
      t.mock.timers.tick(10_000);
      await turns();
    }
    if (when === 'while the agent closes') {
      for (const slot of [0, 1]) forks.in(slot).exits(0);
      await turns();
      assert.equal(forks.in(-1).asked, 'stop');
    }
    void close(core, 'again', { force: true });
    await turns();
    if (when !== 'while the agent closes') {
      // A worker has a moment to cut what it answers so that it shows.
      for (const slot of [0, 1]) assert.deepEqual([forks.in(slot).asked, forks.in(slot).hurried], ['stop', true]);
      assert.equal(seen.outcome.state, 'pending');
      t.mock.timers.tick(500);
    }
    await turns(10);
    assert.equal(seen.outcome.state, 'done');
    assert.equal(forks.alive.length, 0);
  });
}

test('the shutdownDelay comes before anybody is asked', async (t) => {
  const { core, forks } = await cluster(t);
  core.deadlines.shutdownDelay = 1_000;
  const seen = watched(close(core, 'test'));
  await turns();
  t.mock.timers.tick(999);
  await turns();
  assert.deepEqual(forks.all.map(({ asked }) => asked), [null, null, null]);
  t.mock.timers.tick(1);
  await turns(10);
  assert.equal(seen.outcome.state, 'done');
});

test('gates that fail are told and do not hold it up', async (t) => {
  const { core, errors } = await cluster(t);
  core.hooks.beforeClose.tapPromise('one', async () => { throw new Error('no'); });
  core.hooks.closed.tapPromise('two', async () => { throw new Error('never'); });
  assert.equal(await close(core, 'test'), 0);
  assert.equal(errors.length, 2);
});

for (const who of ['a worker', 'the agent', 'all of them'] as const) {
  test(`a death while it closes: ${who}; nobody is forked again`, async (t) => {
    const { core, forks } = await cluster(t);
    for (const child of forks.all) child.manners.obeys = false;
    const seen = watched(close(core, 'test'));
    await turns();
    for (const child of forks.all) {
      if (who === 'all of them' || (who === 'the agent') === (child.spec.role === 'agent')) child.exits(1);
    }
    await turns();
    for (const child of forks.all) child.exits(0);
    await turns();
    t.mock.timers.tick(60_000);
    await turns();
    assert.equal(seen.outcome.state, 'done');
    assert.equal(forks.all.length, 3);
  });
}

test('a refork that waits is given up', async (t) => {
  const { core, forks } = await cluster(t);
  forks.in(0).exits(1);
  forks.in(-1).exits(1);
  await turns();
  await close(core, 'test');
  t.mock.timers.tick(60_000);
  await turns();
  assert.equal(forks.all.length, 3);
});

test('a worker that boots is not waited for as long as one that serves', async (t) => {
  const { core, forks } = await cluster(t);
  core.deadlines.drain = 30_000;
  void watched(scale(core, 3));
  await turns();
  forks.in(2).manners.obeys = false;
  const seen = watched(close(core, 'test'));
  await turns();
  t.mock.timers.tick(1_500);
  await turns(10);
  assert.equal(forks.in(2).killed, true);
  assert.equal(seen.outcome.state, 'done');
});
