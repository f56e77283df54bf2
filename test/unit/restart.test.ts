import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Config } from '../../lib/config/schema.js';
import { restart } from '../../lib/master/operations/restart.js';
import { close } from '../../lib/master/operations/shutdown.js';
import { assertSound, loadedWith, running, watched } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

async function cluster(
  t: TestContext, { agent = false, next, ...config }: Partial<Config> & { agent?: boolean; next?: Partial<Config> } = {},
) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const options = next ? { reloadConfig: async () => loadedWith(next, { agent }) } : {};
  // What is preloaded is the app's: nothing comes up beside the old ones (restart-held.test.ts).
  const fake = await running(t, { agent, require: ['/preload.cjs'], ...config, options });
  // As dev-reload does: what is left empty is no reason to give up.
  fake.core.workers.leftReturn = true;
  return { ...fake, fake };
}

test('the old ones go first, then the new ones come', async (t) => {
  const { core, forks, told } = await cluster(t);
  told.length = 0;
  const seen = watched(restart(core, 'test'));
  await turns();
  assert.deepEqual(told, ['workerExit 0', 'workerExit 1', 'workerForked 0', 'workerForked 1']);
  for (const slot of [0, 1]) forks.in(slot).ready();
  await turns();
  assert.ok(seen.outcome.state === 'done');
  assert.equal(seen.outcome.value.generation, 2);
  assert.equal(core.releases.current.generation, 2);
});

test('an old one that takes its time is not waited for', async (t) => {
  const { core, fake, forks } = await cluster(t);
  const [old] = forks.of(0);
  old!.manners.obeys = false;
  const seen = watched(restart(core, 'test'));
  await turns();
  assert.equal(forks.all.length, 2);
  t.mock.timers.tick(200);
  await turns();
  assert.equal(forks.all.length, 4);
  assertSound(fake, 'old and new');
  for (const slot of [0, 1]) forks.in(slot).ready();
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assert.equal(old!.alive, true);
});

test('a number of workers that was edited counts; one that scale changed stays', async (t) => {
  const next: Partial<Config> = { workers: 2 };
  const { core, forks } = await cluster(t, { next });
  forks.manners.boots = true;
  await core.workers.shrink(1);
  await restart(core, 'test');
  assert.equal(core.workers.slots.length, 1);
  next.workers = 3;
  await restart(core, 'test');
  assert.equal(core.workers.slots.length, 3);
  next.workers = 2;
  await restart(core, 'test');
  assert.equal(core.workers.slots.length, 2);
  assert.equal(forks.alive.length, 2);
});

test('the agent: kept, unless it is asked for or is not there', async (t) => {
  const { core, forks } = await cluster(t, { agent: true });
  forks.manners.boots = true;
  await restart(core, 'test');
  assert.equal(forks.of(-1).length, 1);
  await restart(core, 'test', { agent: true });
  assert.equal(forks.of(-1).length, 2);
  forks.in(-1).exits(1);
  await turns();
  await restart(core, 'test');
  t.mock.timers.tick(60_000);
  await turns();
  assert.equal(forks.of(-1).length, 3, 'one in place of the dead, not one more after the wait');
});

for (const [how, fail] of [
  ['the first fails', [0]], ['the last fails', [1]], ['both fail at once', [0, 1]],
] as const) {
  test(`${how}: rejects, what failed stays empty, and the next restart fills it`, async (t) => {
    const { core, fake, forks } = await cluster(t);
    const seen = watched(restart(core, 'test'));
    await turns();
    for (const slot of fail) forks.in(slot).exits(1);
    await turns();
    t.mock.timers.tick(20);
    await turns();
    assert.equal(seen.code, 'ERR_CLUSTER_START');
    assert.equal(forks.alive.length, 0, 'none is left behind half started');
    assert.deepEqual(core.workers.slots.map(({ left }) => left), [true, true]);
    assert.equal(core.releases.current.generation, 1);
    t.mock.timers.tick(60_000);
    await turns();
    assert.equal(forks.all.length, 4);
    assertSound(fake, 'afterwards');
    forks.manners.boots = true;
    await restart(core, 'test');
    assert.equal(core.workers.ready().length, 2);
  });
}

test('one that becomes ready as the other fails, and was reached, drains and does not come again by itself', async (t) => {
  const { core, fake, forks } = await cluster(t);
  core.listeners.leave = () => true;
  const seen = watched(restart(core, 'test'));
  await turns();
  forks.in(1).manners.obeys = false;
  forks.in(0).exits(1);
  await turns();
  forks.in(1).ready();
  await turns();
  assert.equal(forks.in(1).asked, 'abort');
  forks.in(1).exits(0);
  await turns();
  assert.equal(seen.code, 'ERR_CLUSTER_START');
  t.mock.timers.tick(60_000);
  await turns();
  assert.equal(forks.all.length, 4);
  assert.deepEqual(core.workers.slots.map(({ left }) => left), [true, true]);
  assertSound(fake, 'afterwards');
});

test('a death between ready and the end of a restart comes again with the new release', async (t) => {
  const { core, fake, forks } = await cluster(t);
  const seen = watched(restart(core, 'test'));
  await turns();
  forks.in(0).ready();
  await turns();
  forks.in(0).exits(1);
  await turns();
  t.mock.timers.tick(0);
  await turns();
  assert.equal(forks.in(0).spec.generation, 2);
  forks.in(0).ready();
  forks.in(1).ready();
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assertSound(fake, 'afterwards');
});

test('a refork whose gate takes its time, from before the restart, serves no old configuration', async (t) => {
  const { core, fake, forks } = await cluster(t);
  let open!: () => void;
  core.hooks.beforeForkWorker.tapPromise('slow', ({ generation }) =>
    generation === 1 ? new Promise((resolve) => { open = resolve; }) : Promise.resolve());
  forks.in(0).exits(1);
  await turns();
  t.mock.timers.tick(0);
  await turns();
  const seen = watched(restart(core, 'test'));
  await turns();
  open();
  await turns();
  for (const child of forks.alive) if (child.spec.generation === 2) child.ready();
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assert.deepEqual(core.workers.ready().map(({ generation }) => generation), [2, 2]);
  assert.equal(forks.alive.length, 2);
  assertSound(fake, 'afterwards');
});

test('a signal gives it up: what starts is killed, and the next restart is served', async (t) => {
  const { core, forks } = await cluster(t);
  const newer = new AbortController();
  const seen = watched(restart(core, 'test', { signal: newer.signal }));
  const next = watched(restart(core, 'test'));
  await turns();
  newer.abort();
  await turns();
  assert.equal(seen.outcome.state, 'failed');
  for (const child of forks.alive) child.ready();
  await turns();
  assert.equal(next.outcome.state, 'done');
  assert.equal(core.workers.ready().length, 2);
});

for (const when of ['while the old ones leave', 'while the new ones start', 'after one has failed'] as const) {
  test(`a close ${when} wins`, async (t) => {
    const { core, forks } = await cluster(t);
    if (when === 'while the old ones leave') for (const child of forks.all) child.manners.obeys = false;
    const seen = watched(restart(core, 'test'));
    await turns();
    if (when === 'after one has failed') forks.in(0).exits(1);
    const closed = watched(close(core, 'test'));
    for (let tick = 0; tick < 10; tick++) {
      await turns();
      t.mock.timers.tick(1_000);
    }
    await turns();
    assert.equal(seen.code, 'ERR_CLUSTER_CLOSING');
    assert.equal(closed.outcome.state, 'done');
    assert.equal(forks.alive.length, 0);
  });
}
