import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Config } from '../../lib/config/schema.js';
import { restart } from '../../lib/master/operations/restart.js';
import { assertSound, loadedWith, running, watched } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

// What the runner preloads would be the app's as well.
process.execArgv.length = 0;
delete process.env.NODE_OPTIONS;

async function cluster(t: TestContext, { agent = false, read, ...config }: Partial<Config> & { agent?: boolean; read?: () => void } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const reloadConfig = async () => {
    read?.();
    return loadedWith(config, { agent });
  };
  const fake = await running(t, { agent, ...config, options: { reloadConfig } });
  fake.core.workers.leftReturn = true;
  const old = fake.forks.all.filter(({ spec }) => spec.role === 'worker');
  const fresh = () => fake.forks.all.filter((child) => child.spec.role === 'worker' && !old.includes(child));
  return { ...fake, fake, old, fresh };
}

test('new ones come up while the old ones leave, and run the app when all of these are gone', async (t) => {
  const { core, fake, old, fresh } = await cluster(t);
  for (const child of old) child.manners.obeys = false;
  const seen = watched(restart(core, 'test'));
  await turns();
  assert.deepEqual(fresh().map(({ boot, went }) => [boot?.held, went]), [[true, false], [true, false]]);
  old[0]!.exits(0);
  await turns();
  assert.ok(fresh().every(({ went }) => !went), 'one of the old ones is there');
  assertSound(fake, 'old and new');
  old[1]!.exits(0);
  await turns();
  assert.ok(fresh().every(({ went }) => went));
  for (const child of fresh()) child.ready();
  await turns();
  assert.equal(seen.outcome.state, 'done');
  assertSound(fake, 'afterwards');
});

test('an old one that takes its time is waited for 200 ms', async (t) => {
  const { core, old, fresh } = await cluster(t);
  old[0]!.manners.obeys = false;
  watched(restart(core, 'test'));
  await turns();
  t.mock.timers.tick(199);
  await turns();
  assert.ok(fresh().every(({ went }) => !went));
  t.mock.timers.tick(1);
  await turns();
  assert.ok(fresh().every(({ went }) => went));
  assert.equal(old[0]!.alive, true);
});

test('`hold` is called when the old ones are gone, and waited for', async (t) => {
  const { core, old, fresh } = await cluster(t);
  let release = () => {};
  let calls = 0;
  for (const child of old) child.manners.obeys = false;
  const hold = () => {
    calls++;
    return new Promise<void>((resolve) => { release = resolve; });
  };
  watched(restart(core, 'test', { hold }));
  await turns();
  assert.equal(calls, 0);
  for (const child of old) child.exits(0);
  await turns();
  assert.equal(calls, 1);
  assert.ok(fresh().every(({ went }) => !went));
  release();
  await turns();
  assert.ok(fresh().every(({ went }) => went));
});

test('the time to start begins when they are let go', async (t) => {
  const { core, forks, fresh } = await cluster(t, { startTimeout: 1_000 });
  let release = () => {};
  const seen = watched(restart(core, 'test', { hold: () => new Promise<void>((resolve) => { release = resolve; }) }));
  await turns();
  t.mock.timers.tick(5_000);
  await turns();
  assert.equal(forks.alive.length, 2);
  release();
  await turns();
  t.mock.timers.tick(999);
  await turns();
  assert.equal(forks.alive.length, 2);
  t.mock.timers.tick(1);
  await turns();
  assert.equal(seen.code, 'ERR_CLUSTER_START_TIMEOUT');
  assert.ok(fresh().every(({ killed }) => killed));
});

test('given up meanwhile: those that wait are killed, and the next restart is served', async (t) => {
  const { core, fake, forks, old } = await cluster(t);
  for (const child of old) child.manners.obeys = false;
  const newer = new AbortController();
  const seen = watched(restart(core, 'test', { signal: newer.signal }));
  const next = watched(restart(core, 'test'));
  await turns();
  newer.abort();
  await turns();
  assert.equal(seen.outcome.state, 'failed');
  for (const child of old) child.exits(0);
  await turns();
  assert.equal(forks.alive.length, 2);
  for (const child of forks.alive) {
    assert.equal(child.went, true);
    child.ready();
  }
  await turns();
  assert.equal(next.outcome.state, 'done');
  assertSound(fake, 'afterwards');
});

test('an agent that does not start is the reason, and those that wait for it are killed', async (t) => {
  const { core, forks, fresh } = await cluster(t, { agent: true });
  const seen = watched(restart(core, 'test', { agent: true }));
  await turns();
  assert.equal(forks.of(-1).length, 2);
  assert.ok(fresh().every(({ went }) => !went));
  forks.in(-1).fails(new Error('no agent'));
  forks.in(-1).exits(1);
  await turns();
  assert.ok(seen.outcome.state === 'failed');
  assert.match(seen.outcome.error.message, /agent/);
  assert.ok(fresh().every(({ alive }) => !alive));
});

test('a configuration that cannot be read: nobody is forked, and the old ones are gone', async (t) => {
  const { core, old, fresh } = await cluster(t, { read: () => { throw new Error('torn'); } });
  const seen = watched(restart(core, 'test'));
  await turns();
  assert.equal(seen.outcome.state, 'failed');
  assert.equal(fresh().length, 0);
  assert.ok(old.every(({ alive }) => !alive));
});

test('nobody comes up beside the old ones where others\' code would run, or an inspector', async (t) => {
  const all: { execArgv?: string[]; env?: Record<string, string>; inspect?: number }[] = [
    { execArgv: ['--import', 'x'] }, { env: { NODE_OPTIONS: '-r x' } }, { inspect: 9_329 },
  ];
  for (const config of all) {
    await t.test(JSON.stringify(config), async (inner) => {
      const { core, old, fresh } = await cluster(inner as TestContext, config);
      for (const child of old) child.manners.obeys = false;
      watched(restart(core, 'test'));
      await turns();
      assert.equal(fresh().length, 0);
      for (const child of old) child.exits(0);
      await turns();
      assert.deepEqual(fresh().map(({ boot }) => boot?.held), [false, false]);
      inner.mock.timers.reset();
    });
  }
});
