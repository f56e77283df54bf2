import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { defaults, type Config } from '../../lib/config/schema.js';
import { assertSound, running } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

async function cluster(t: TestContext, { agent = false, ...refork }: Partial<Config['refork']> & { agent?: boolean } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const fake = await running(t, { agent, refork: { ...defaults.refork, ...refork } });
  const { core, forks } = fake;
  /** Milliseconds that slot 0 waits after this death. */
  const death = async (slot = 0) => {
    forks.in(slot).exits(1);
    await turns();
    return (slot < 0 ? core.agent : core.workers.slots[slot]!).refork.delay;
  };
  const again = async (ms: number, slot = 0) => {
    t.mock.timers.tick(ms);
    await turns();
    forks.in(slot).ready();
  };
  return { ...fake, fake, death, again, slot: core.workers.slots[0]! };
}

test('deaths in a row: at once, at once, then a wait that grows', async (t) => {
  const { death, again } = await cluster(t);
  const waits: (number | null)[] = [];
  for (let count = 0; count < 5; count++) {
    const wait = await death();
    waits.push(wait);
    await again(wait ?? 0);
  }
  assert.deepEqual(waits, [0, 0, 100, 200, 400]);
});

test('it is forked when the wait is over and not before', async (t) => {
  const { death, forks } = await cluster(t, { minDelay: 500 });
  assert.equal(await death(), 500);
  t.mock.timers.tick(499);
  await turns();
  assert.equal(forks.of(0).length, 1);
  t.mock.timers.tick(1);
  await turns();
  assert.equal(forks.of(0).length, 2);
});

test('two deaths at once, of two slots: each is made good, both are counted', async (t) => {
  const { core, fake, forks, again } = await cluster(t);
  forks.in(0).exits(1);
  forks.in(1).exits(null, 'SIGSEGV');
  await turns();
  assert.equal(core.deaths.times.length, 2);
  assertSound(fake, 'both gone');
  await again(0);
  forks.in(1).ready();
  assert.equal(core.workers.ready().length, 2);
});

test('two deaths at once, of one slot: who leaves and its replacement', async (t) => {
  const { fake, forks, again } = await cluster(t);
  const [first] = forks.of(0);
  first!.manners.obeys = false;
  first!.leaves('uncaught');
  await turns();
  await again(0);
  const second = forks.in(0);
  first!.exits(1);
  second.exits(1);
  await turns();
  assertSound(fake, 'both gone');
  await again(100);
  assert.equal(forks.of(0).length, 3, 'one for each death of the one in charge');
});

test('an end that was asked for is no death that counts, and yet its wait grows', async (t) => {
  const { core, forks, again, slot } = await cluster(t);
  const waits: (number | null)[] = [];
  for (let count = 0; count < 4; count++) {
    forks.in(0).leaves('signal');
    await turns();
    waits.push(slot.refork.delay);
    forks.in(0).exits(0);
    await again(waits.at(-1) ?? 0);
  }
  assert.deepEqual(waits, [0, 0, 100, 200]);
  assert.deepEqual(core.deaths.times, []);
});

test('the agent waits a second at least, counts for nothing, and no tap is asked', async (t) => {
  const { core, death, again, forks } = await cluster(t, { agent: true });
  core.hooks.beforeRefork.tap('test', () => 'leave');
  assert.equal(await death(-1), 1_000);
  assert.deepEqual(core.deaths.times, []);
  await again(1_000, -1);
  assert.equal(core.agent.ready, true);
  assert.equal(forks.of(-1).length, 2);
});

test('beforeRefork: a delay of its own, or an empty slot that a reload fills', async (t) => {
  const { core, death, slot, forks } = await cluster(t);
  const answers: ({ delay: number } | 'leave')[] = [{ delay: 7_000 }, 'leave'];
  core.hooks.beforeRefork.tap('test', () => answers.shift());
  assert.equal(await death(), 7_000);
  t.mock.timers.tick(7_000);
  await turns();
  assert.equal(await death(), null);
  assert.equal(slot.left, true);
  t.mock.timers.tick(100_000);
  await turns();
  assert.equal(forks.of(0).length, 2);
  forks.manners.boots = true;
  await slot.replace(core.releases.current, 'reload');
  assert.equal(slot.left, false);
});

for (const onLimit of ['degrade', 'exit'] as const) {
  test(`at the limit, onLimit "${onLimit}"; said once`, async (t) => {
    const { core, death, again, errors, forks } = await cluster(t, { limit: 3, onLimit });
    const asked: number[] = [];
    core.hooks.reachReforkLimit.tap('test', (_, history) => { asked.push(history.length); return undefined; });
    for (let count = 0; count < 2; count++) await again(await death() ?? 0);
    const wait = await death();
    assert.deepEqual(asked, [3]);
    assert.equal(core.life.closing, onLimit === 'exit');
    assert.equal(wait, onLimit === 'exit' ? null : 15_000);
    if (onLimit === 'exit') {
      assert.equal(await core.life.exited, 1);
      assert.equal(forks.alive.length, 0);
      return;
    }
    await again(15_000);
    await death();
    assert.equal(errors.filter((line) => line.startsWith('refork limit reached: 3 deaths')).length, 1);
  });
}

test('a gate that refuses the fork: tried again at once, and then after a growing wait', async (t) => {
  const { core, fake, death, forks, slot } = await cluster(t);
  let refuse = true;
  core.hooks.beforeForkWorker.tapPromise('moody', async () => { if (refuse) throw new Error('not now'); });
  await death();
  const waits: (number | null)[] = [];
  for (let n = 0; n < 4; n++) {
    t.mock.timers.tick(slot.refork.delay ?? 0);
    await turns();
    waits.push(slot.refork.delay);
    assertSound(fake, 'refused');
  }
  assert.deepEqual(waits, [0, 0, 100, 200]);
  refuse = false;
  t.mock.timers.tick(200);
  await turns();
  assert.equal(forks.of(0).length, 2);
});

test('a gate that refuses after somebody else has filled the slot: nothing is forked later', async (t) => {
  const { core, fake, death, forks, slot } = await cluster(t);
  let refuse!: (error: Error) => void;
  let first = true;
  core.hooks.beforeForkWorker.tapPromise('slow', () => first
    ? new Promise((_, reject) => { [refuse, first] = [reject, false]; })
    : Promise.resolve());
  await death();
  t.mock.timers.tick(0);
  await turns();
  forks.manners.boots = true;
  await slot.replace(core.releases.current, 'reload');
  refuse(new Error('too late'));
  await turns();
  t.mock.timers.tick(60_000);
  await turns();
  assert.equal(forks.of(0).length, 2);
  assert.equal(slot.restarts, 1);
  assertSound(fake, 'afterwards');
});
