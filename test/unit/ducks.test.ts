import assert from 'node:assert/strict';
import test from 'node:test';
import { reload } from '../../lib/master/operations/reload.js';
import { close } from '../../lib/master/operations/shutdown.js';
import { running, watched } from '../helpers/fake-core.js';
import { turns, type FakeChild } from '../helpers/fake-forker.js';

/** A cluster of one worker, whose children close when told to by hand. */
async function withDucks(t: Parameters<typeof running>[0]) {
  const fake = await running(t, { workers: 1 });
  const { core, forks } = fake;
  core.deadlines.streams = 600_000;
  for (const manners of [forks.manners, forks.last.manners]) Object.assign(manners, { boots: true, obeys: false });
  t.after(() => { for (const child of forks.alive) child.exits(0); });
  const told: string[] = [];
  core.hooks.duckBorn.tap('test', ({ generation }) => { told.push(`born ${generation}`); });
  core.hooks.duckGone.tap('test', ({ generation }) => { told.push(`gone ${generation}`); });
  const onlyStreams = async (child: FakeChild) => {
    child.channel.send('child.onlyStreams', null);
    await turns();
  };
  return { ...fake, told, onlyStreams };
}

test('a reload does not wait for a duck, the next one ends it, and its end is nobody\'s death', async (t) => {
  const { core, forks, told, onlyStreams } = await withDucks(t);
  const first = forks.last;
  const done = watched(reload(core, 'test', { agent: false }));
  await turns();
  assert.equal(first.asked, 'reload');
  assert.equal(done.outcome.state, 'pending');
  await onlyStreams(first);
  assert.equal(done.outcome.state, 'done');
  assert.deepEqual(core.workers.slots[0]!.children().map(({ generation }) => generation), [2]);
  assert.deepEqual(core.ducks.children().map(({ generation }) => generation), [1]);
  const second = forks.last;
  const again = watched(reload(core, 'test', { agent: false }));
  await turns();
  assert.equal(first.moves, 1);
  await onlyStreams(second);
  assert.equal(again.outcome.state, 'done');
  first.exits(0);
  await turns();
  assert.deepEqual(core.ducks.children().map(({ generation }) => generation), [2]);
  assert.deepEqual(told, ['born 1', 'born 2', 'gone 1']);
  assert.equal(core.workers.slots[0]!.lastExit, null);
  assert.equal(core.deaths.times.length, 0);
});

test('a close waits for ducks, also for one that became so just before', async (t) => {
  const { core, forks, onlyStreams } = await withDucks(t);
  const first = forks.last;
  void reload(core, 'test', { agent: false });
  await turns();
  await onlyStreams(first);
  const closed = watched(close(core, 'test'));
  await turns();
  assert.equal(first.asked, 'stop');
  forks.last.exits(0);
  await turns();
  assert.equal(closed.outcome.state, 'pending');
  first.exits(0);
  await turns(30);
  assert.equal(closed.outcome.state, 'done');
});

test('what says that it has streams alone is not believed at a stop, nor while it serves', async (t) => {
  const { core, forks, told, onlyStreams } = await withDucks(t);
  await onlyStreams(forks.last);
  void close(core, 'test');
  await turns();
  await onlyStreams(forks.last);
  assert.deepEqual(told, []);
  assert.deepEqual(core.ducks.children(), []);
  forks.last.exits(0);
  await turns(30);
});
