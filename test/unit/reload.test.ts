import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Config } from '../../lib/config/schema.js';
import { orderReload, reload } from '../../lib/master/operations/reload.js';
import { close } from '../../lib/master/operations/shutdown.js';
import { assertSound, loadedWith, running, watched } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

async function cluster(
  t: TestContext,
  { agent = false, reloadConfig, ...config }: Partial<Config> & { agent?: boolean; reloadConfig?: () => Promise<never> } = {},
) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const fake = await running(t, { agent, ...config, options: { reloadConfig } });
  let released = 0;
  fake.core.listeners.release = () => { released++; };
  return { ...fake, fake, released: () => released };
}

test('one after the other, a successor ready before its predecessor drains; then the agent', async (t) => {
  const { core, forks, told } = await cluster(t, { agent: true });
  told.length = 0;
  const seen = watched(reload(core, 'test'));
  await turns();
  assert.equal(core.life.state, 'reloading');
  for (const slot of [0, 1]) {
    assert.equal(forks.of(slot).length, 2);
    assert.equal(forks.of(1 - slot).length, slot === 0 ? 1 : 2, 'the other one waits');
    forks.in(slot).ready();
    await turns();
  }
  forks.in(-1).ready();
  await turns();
  assert.ok(seen.outcome.state === 'done');
  const { ok, generation, replaced } = seen.outcome.value;
  assert.deepEqual({ ok, generation, replaced }, { ok: true, generation: 2, replaced: 2 });
  assert.deepEqual(told, [0, 1].flatMap((slot) => [`workerForked ${slot}`, `workerReady ${slot}`, `workerExit ${slot}`])
    .concat('agentExit -1', 'agentForked -1', 'agentReady -1'));
  assert.equal(core.releases.current.generation, 2);
  assert.equal(core.life.state, 'running');
});

test('a veto: nothing is forked, and it says why', async (t) => {
  const { core, forks } = await cluster(t);
  core.hooks.beforeReload.tap('careful', () => 'not on a Friday');
  await assert.rejects(reload(core, 'test'), { code: 'ERR_CLUSTER_RELOAD_VETOED', message: /not on a Friday/ });
  assert.equal(forks.all.length, 2);
  assert.equal(core.lastReload?.ok, false);
  assert.equal(core.life.state, 'running');
});

for (const dies of ['at its start', 'while it soaks', 'by leaving while it soaks'] as const) {
  test(`a canary that dies ${dies}: the old workers are untouched`, async (t) => {
    const { core, fake, forks } = await cluster(t, { reload: { soak: 5_000, batch: 1 } });
    const seen = watched(reload(core, 'test'));
    await turns();
    const canary = forks.last;
    if (dies !== 'at its start') {
      canary.ready();
      await turns();
      t.mock.timers.tick(4_999);
    }
    if (dies === 'by leaving while it soaks') canary.leaves('signal');
    else canary.exits(1);
    await turns();
    assert.equal(seen.code, 'ERR_CLUSTER_RELOAD_ABORTED');
    assert.match(seen.outcome.state === 'failed' ? seen.outcome.error.message : '', /the old workers are untouched/);
    assert.deepEqual(core.workers.ready().map(({ generation }) => generation), [1, 1]);
    assert.equal(core.releases.current.generation, 1);
    if (dies === 'by leaving while it soaks') {
      assert.equal(canary.killed, false, 'it answers what it has taken');
      canary.exits(0);
      await turns();
    }
    assert.equal(forks.alive.length, 2);
    assertSound(fake, 'afterwards');
  });
}

test('the canary soaks, the others do not', async (t) => {
  const { core, forks } = await cluster(t, { reload: { soak: 5_000, batch: 1 } });
  const seen = watched(reload(core, 'test'));
  await turns();
  forks.in(0).ready();
  await turns();
  assert.equal(forks.of(0)[0]!.asked, null);
  t.mock.timers.tick(5_000);
  await turns();
  assert.equal(forks.of(0)[0]!.asked, 'reload');
  forks.in(1).ready();
  await turns();
  assert.equal(seen.outcome.state, 'done');
});

test('an abort half-way: who took over stays, and the message says how many', async (t) => {
  const { core, forks } = await cluster(t, { workers: 3 });
  const seen = watched(reload(core, 'test'));
  await turns();
  forks.in(0).ready();
  await turns();
  forks.in(1).exits(1);
  await turns();
  assert.match(seen.outcome.state === 'failed' ? seen.outcome.error.message : '',
    /1 of 3 workers had been replaced, the others are untouched/);
  assert.deepEqual(core.workers.ready().map(({ generation }) => generation), [2, 1, 1]);
});

test('an abort in a batch ends those that are still starting, also where a gate holds one', async (t) => {
  const { core, fake, forks } = await cluster(t, { workers: 3, reload: { soak: 0, batch: 2 } });
  const seen = watched(reload(core, 'test'));
  await turns();
  let open!: () => void;
  core.hooks.beforeForkWorker.tapPromise('slow', ({ slot }) => slot === 2
    ? new Promise((resolve) => { open = resolve; })
    : Promise.resolve());
  forks.in(0).ready();
  await turns();
  forks.in(1).exits(1);
  await turns();
  assert.equal(seen.code, 'ERR_CLUSTER_RELOAD_ABORTED');
  open();
  await turns();
  if (forks.of(2).length > 1) forks.in(2).ready();
  await turns();
  assert.deepEqual(core.workers.ready().map(({ generation }) => generation), [2, 1, 1]);
  assert.equal(forks.alive.length, 3);
  assertSound(fake, 'afterwards');
});

test('a successor that dies while its predecessor drains comes again with the new release, not the old one', async (t) => {
  const reloadConfig = async () => loadedWith({ port: 8001 }) as never;
  const { core, forks, fake } = await cluster(t, { port: 7001, reloadConfig });
  const [old] = forks.of(0);
  old!.manners.obeys = false;
  const seen = watched(reload(core, 'test'));
  await turns();
  forks.in(0).ready();
  await turns();
  forks.in(0).exits(1);
  await turns();
  t.mock.timers.tick(0);
  await turns();
  assert.equal(forks.in(0).spec.generation, 2);
  assert.equal(forks.in(0).boot?.listen.port, 8001);
  forks.in(0).ready();
  old!.exits(0);
  await turns();
  forks.in(1).ready();
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assert.deepEqual(core.workers.ready().map(({ generation }) => generation), [2, 2]);
  assertSound(fake, 'afterwards');
});

test('after an abort, and for one that is not replaced yet, it is the old release', async (t) => {
  const { core, forks } = await cluster(t);
  const seen = watched(reload(core, 'test'));
  await turns();
  forks.of(1)[0]!.exits(1);
  await turns();
  t.mock.timers.tick(0);
  await turns();
  assert.equal(forks.in(1).spec.generation, 1);
  forks.in(1).ready();
  forks.in(0).ready();
  await turns();
  forks.in(1).exits(1);
  await turns();
  assert.equal(seen.code, 'ERR_CLUSTER_RELOAD_ABORTED');
  forks.in(0).exits(1);
  await turns();
  t.mock.timers.tick(0);
  await turns();
  assert.equal(forks.in(0).spec.generation, 1);
});

test('addresses that nobody wants are given up once all serve, and not while one that died is on its way back', async (t) => {
  const { core, forks, released } = await cluster(t, { workers: 1 });
  const [old] = forks.of(0);
  old!.manners.obeys = false;
  const seen = watched(reload(core, 'test'));
  await turns();
  forks.in(0).ready();
  await turns();
  const before = released();
  forks.in(0).exits(1);
  old!.exits(0);
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assert.equal(released(), before, 'its address is the one that the next process listens on');
  t.mock.timers.tick(0);
  await turns();
  forks.in(0).ready();
  await turns();
  assert.equal(released(), before + 1, 'all serve again');
});

test('an agent that does not come back is an error, the workers stay new, and the agent is tried again', async (t) => {
  const { core, fake, forks } = await cluster(t, { agent: true });
  const seen = watched(reload(core, 'test'));
  await turns();
  for (const slot of [0, 1]) {
    forks.in(slot).ready();
    await turns();
  }
  forks.in(-1).exits(1);
  await turns();
  assert.equal(seen.code, 'ERR_CLUSTER_START');
  assert.equal(core.lastReload?.ok, false);
  assert.equal(core.releases.current.generation, 2);
  t.mock.timers.tick(1_000);
  await turns();
  forks.in(-1).ready();
  assert.equal(core.agent.current?.generation, 2);
  assertSound(fake, 'afterwards');
});

for (const when of ['before the first is ready', 'while one drains', 'while the agent is replaced'] as const) {
  test(`a close ${when} wins: no process is left, and the reload says so`, async (t) => {
    const { core, forks } = await cluster(t, { agent: true });
    if (when === 'while one drains') forks.of(0)[0]!.manners.obeys = false;
    const seen = watched(reload(core, 'test'));
    await turns();
    if (when !== 'before the first is ready') forks.in(0).ready();
    await turns();
    if (when === 'while the agent is replaced') {
      forks.in(1).ready();
      await turns();
      assert.equal(forks.of(-1).length, 2);
    }
    const closed = watched(close(core, 'test'));
    for (let tick = 0; tick < 8; tick++) {
      await turns();
      t.mock.timers.tick(1_000);
    }
    await turns();
    assert.equal(seen.code, 'ERR_CLUSTER_CLOSING');
    assert.equal(closed.outcome.state, 'done');
    assert.equal(forks.alive.length, 0);
  });
}

test('orders that come while one waits are one; those of --queue are each their own', async (t) => {
  const { core, forks } = await cluster(t);
  forks.manners.boots = true;
  orderReload(core, 'SIGHUP');
  for (let order = 0; order < 5; order++) orderReload(core, 'SIGHUP');
  const queued = [reload(core, 'a', { queue: true }), reload(core, 'b', { queue: true })];
  await Promise.all(queued);
  assert.equal(core.releases.current.generation, 5, 'one that ran, one that waited, two of --queue');
  assert.equal(forks.alive.length, 2);
});

test('a successor that has closed the configured address again: its predecessor stays until it is served', async (t) => {
  const { core, forks } = await cluster(t, { workers: 1 });
  const address = { protocol: 'http', port: 7001, name: '*:7001', configured: true, own: false } as const;
  forks.in(0).channel.send('child.listening', [address]);
  await turns();
  const seen = watched(reload(core, 'test'));
  await turns();
  // It was closed between the look and the message.
  forks.in(0).ready();
  await turns();
  t.mock.timers.tick(1_000);
  await turns();
  const [before, successor] = forks.of(0);
  assert.deepEqual(before?.closes, []);
  successor?.channel.send('child.listening', [address]);
  await turns();
  t.mock.timers.tick(20);
  await turns();
  assert.deepEqual(before?.closes, ['reload']);
  assert.equal(seen.outcome.state, 'done');
});
