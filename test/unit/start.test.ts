import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { close } from '../../lib/master/operations/shutdown.js';
import { start } from '../../lib/master/operations/start.js';
import { prepare } from '../../lib/master/plugins/load.js';
import { reload } from '../../lib/master/operations/reload.js';
import { assertSound, fakeCore, watched } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

function idle(t: TestContext, given: Parameters<typeof fakeCore>[1] = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const fake = fakeCore(t, given);
  return { ...fake, fake };
}

test('the agent, then the workers, then all are told', async (t) => {
  const { core, forks, told } = idle(t, { agent: true });
  core.hooks.clusterReady.tap('test', (_, children) => { told.push(`clusterReady ${children.length}`); });
  const seen = watched(start(core));
  await turns();
  assert.equal(core.life.state, 'startingAgent');
  assert.deepEqual(told, ['agentForked -1']);
  forks.in(-1).ready();
  await turns();
  assert.equal(core.life.state, 'startingWorkers');
  for (const slot of [1, 0]) forks.in(slot).ready({ port: 7001 + slot });
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assert.deepEqual(told,
    ['agentForked -1', 'agentReady -1', 'workerForked 0', 'workerForked 1', 'workerReady 1', 'workerReady 0', 'clusterReady 3']);
  assert.equal(core.life.state, 'running');
});

for (const who of ['the agent', 'a worker', 'a worker that was ready before the others', 'all workers at once'] as const) {
  test(`a death before all are ready: ${who}; the start fails and nothing is left`, async (t) => {
    const { core, forks } = idle(t, { agent: true });
    const seen = watched(start(core));
    await turns();
    if (who === 'the agent') forks.in(-1).exits(1);
    else forks.in(-1).ready();
    await turns();
    if (who === 'a worker that was ready before the others') forks.in(0).ready();
    if (who !== 'the agent') forks.in(0).exits(1);
    if (who === 'all workers at once') forks.in(1).exits(1);
    await turns();
    if (who === 'a worker that was ready before the others') forks.in(1).ready();
    await turns(20);
    assert.equal(seen.code, 'ERR_CLUSTER_START');
    assert.equal(core.life.state, 'closed');
    assert.equal(await core.life.exited, 1);
    assert.equal(forks.alive.length, 0);
  });
}

test('an agent that dies while the workers start is forked again, and the start goes on', async (t) => {
  const { core, forks } = idle(t, { agent: true });
  const seen = watched(start(core));
  await turns();
  forks.in(-1).ready();
  await turns();
  forks.in(-1).exits(1);
  await turns();
  t.mock.timers.tick(1_000);
  await turns();
  for (const slot of [-1, 0, 1]) forks.in(slot).ready();
  await turns();
  assert.equal(seen.outcome.state, 'done');
});

for (const when of ['before anything is forked', 'while the agent starts', 'while the workers start', 'while all are told'] as const) {
  test(`a close ${when}`, async (t) => {
    const { core, forks } = idle(t, { agent: true });
    if (when === 'before anything is forked') core.hooks.beforeStart.tapPromise('slow', () => new Promise(() => {}));
    if (when === 'while all are told') core.hooks.clusterReady.tapPromise('slow', () => new Promise(() => {}));
    const seen = watched(start(core));
    await turns();
    if (when.startsWith('while the workers') || when === 'while all are told') forks.in(-1).ready();
    await turns();
    if (when === 'while all are told') for (const slot of [0, 1]) forks.in(slot).ready();
    await turns();
    const closed = watched(close(core, 'test'));
    await turns(20);
    t.mock.timers.tick(2_000);
    await turns(20);
    assert.equal(seen.code, 'ERR_CLUSTER_CLOSING');
    assert.equal(closed.outcome.state, 'done');
    assert.equal(forks.alive.length, 0);
  });
}

test('a tap says stay: the failed slots are left, whichever fails first, and a reload fills them', async (t) => {
  const { core, fake, forks } = idle(t);
  core.hooks.startFailed.tap('dev', () => 'stay');
  const seen = watched(start(core));
  await turns();
  forks.in(0).exits(1);
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assert.equal(core.life.announced, false);
  forks.in(1).exits(1);
  await turns();
  assert.deepEqual(core.workers.slots.map(({ left }) => left), [true, true]);
  assertSound(fake, 'afterwards');
  forks.manners.boots = true;
  await reload(core, 'test');
  assert.equal(core.workers.ready().length, 2);
  assert.deepEqual(core.workers.slots.map(({ left }) => left), [false, false]);
});

test('a worker that leaves by itself before all are ready is no ready worker', async (t) => {
  const { core, forks } = idle(t);
  const seen = watched(start(core));
  await turns();
  forks.in(0).ready();
  await turns();
  forks.in(0).leaves('uncaught');
  await turns();
  t.mock.timers.tick(0);
  await turns();
  forks.in(1).ready();
  await turns();
  if (seen.outcome.state === 'done') assert.equal(core.workers.ready().length, 2, 'announced with one that is not ready');
});

test('a gate that refuses ends the start with its own error', async (t) => {
  const { core, forks } = idle(t);
  core.hooks.beforeForkWorker.tapPromise('strict', async ({ slot }) => { if (slot === 1) throw new Error('not this one'); });
  const seen = watched(start(core));
  await turns(20);
  t.mock.timers.tick(2_000);
  await turns(20);
  assert.equal(seen.code, 'ERR_CLUSTER_HOOK');
  assert.equal(forks.alive.length, 0);
});

test('plugins are applied once, however often it is prepared', async (t) => {
  const { core } = idle(t);
  let resolved = 0;
  core.hooks.configResolved.tap('test', (config) => { resolved++; return config; });
  await Promise.all([prepare(core), prepare(core)]);
  assert.equal(resolved, 1);
});
