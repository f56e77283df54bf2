import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { ChildView } from '../../lib/api/child.js';
import type { FillDecision } from '../../lib/api/hooks.js';
import type { Master, Plugin } from '../../lib/api/plugin.js';
import { reload } from '../../lib/master/operations/reload.js';
import { scale } from '../../lib/master/operations/scale.js';
import { running, watched } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

/** Two workers, and a plugin whose answers a test gives. */
async function owned(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const policy = { fill: (): FillDecision => undefined };
  let master!: Master;
  const plugin: Plugin = { name: 'mine', apply(face) {
    master = face;
    face.hooks.fillSlot.tap('mine', () => policy.fill());
  } };
  const fake = await running(t, { workers: 2 }, plugin);
  return { ...fake, policy, master };
}

test('standBy: what is none is refused where it is asked for', async (t) => {
  const { master } = await owned(t);
  const expected = /standBy: expected a whole number from 0 up as slot/;
  await assert.rejects(master.standBy({ slot: -2 }), { code: 'ERR_CLUSTER_USAGE', message: expected });
  await assert.rejects(master.standBy({ generation: 7 }), { code: 'ERR_CLUSTER_USAGE', message: /generation 7 is neither/ });
  await assert.rejects(master.standBy('x' as never), { code: 'ERR_CLUSTER_USAGE' });
});

test('what it is forked from says so, and what it will load', async (t) => {
  const { master, core, forks } = await owned(t);
  const seen: unknown[] = [];
  core.hooks.beforeForkWorker.tap('test', ({ slot, standby, entry, generation }) => { seen.push({ slot, standby, entry, generation }); });
  await master.standBy();
  await master.standBy({ slot: 1 });
  assert.deepEqual(seen, [
    { slot: -1, standby: true, entry: '/app/app.js', generation: 1 }, { slot: 1, standby: true, entry: '/app/app.js', generation: 1 },
  ]);
  assert.deepEqual(forks.all.slice(2).map(({ spec }) => spec.env.CLUSTER_SLOT), [undefined, '1']);
});

test('one that still loads, or whose gates are not through, is waited for', async (t) => {
  const { master, policy, forks, core } = await owned(t);
  policy.fill = () => ({ child: master.standBy() });
  const seen = watched(scale(core, 3));
  await turns();
  const one = forks.last;
  assert.equal(one.spec.standby, true);
  assert.equal(one.adoption === null && core.workers.slots[2]!.pending, true);
  one.loads();
  await turns();
  assert.equal(one.adoption?.slot, 2);
  one.ready();
  await turns();
  assert.equal(seen.outcome.state, 'done');
});

test('one that ends while it is waited for: a scale forks, a reload fails with its error', async (t) => {
  const { master, policy, forks, core } = await owned(t);
  policy.fill = () => ({ child: master.standBy() });
  const scaled = watched(scale(core, 3));
  await turns();
  forks.last.exits(1);
  await turns();
  assert.equal(forks.last.spec.standby, false);
  assert.equal(forks.last.spec.slot, 2);
  forks.last.ready();
  await turns(10);
  assert.equal(scaled.outcome.state, 'done');
  policy.fill = () => ({ child: master.standBy({ generation: 2 }) });
  const reloaded = watched(reload(core, 'test'));
  await turns();
  forks.last.exits(1);
  await turns(10);
  assert.equal(reloaded.code, 'ERR_CLUSTER_RELOAD_ABORTED');
});

test('what does not fit is named, and the slot is filled a moment later', async (t) => {
  const { policy, forks, core, errors } = await owned(t);
  policy.fill = () => ({ child: core.workers.slots[0]!.current as ChildView });
  forks.in(1).exits();
  await turns();
  t.mock.timers.tick(0);
  await turns();
  assert.equal(core.workers.slots[1]!.children().length, 0);
  assert.match(errors.join('\n'), /slot 1 could not be filled again/);
  policy.fill = () => undefined;
  t.mock.timers.tick(100);
  await turns();
  assert.equal(core.workers.slots[1]!.current?.pid, forks.in(1).pid);
});

test('a slot that is scaled away while it waits for one takes none, and none is left', async (t) => {
  const { master, policy, forks, core } = await owned(t);
  policy.fill = () => ({ child: master.standBy() });
  forks.in(1).exits();
  await turns();
  t.mock.timers.tick(0);
  await turns();
  const one = forks.last;
  assert.equal(one.spec.standby, true);
  const seen = watched(scale(core, 1));
  await turns(10);
  assert.equal(seen.outcome.state, 'done');
  one.loads();
  await turns(10);
  assert.equal(one.adoption, null);
  assert.equal(one.alive, false);
  assert.deepEqual(core.standbys.children(), []);
});

test('a close while a slot waits for one ends both', async (t) => {
  const { master, policy, forks, core } = await owned(t);
  policy.fill = () => ({ child: master.standBy() });
  forks.in(1).exits();
  await turns();
  t.mock.timers.tick(0);
  await turns();
  const seen = watched(master.close('test'));
  await turns(20);
  assert.equal(seen.outcome.state, 'done');
  assert.deepEqual(forks.alive, []);
  assert.deepEqual(core.standbys.children(), []);
});

test('`replace` ends one that is not wanted any more', async (t) => {
  const { master, forks, core } = await owned(t);
  const child = await master.standBy();
  forks.last.loads();
  await turns();
  assert.equal(child.standsBy, 'loaded');
  assert.equal(await master.replace(child, 'recycle'), true);
  assert.equal(forks.last.asked, 'recycle');
  assert.deepEqual(core.standbys.children(), []);
  assert.equal(child.standsBy, 'loaded');
});
