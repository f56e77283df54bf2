import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Master, Plugin } from '../../lib/api/plugin.js';
import { loadedWith, running, watched } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';
import { reload } from '../../lib/master/operations/reload.js';
import { orderScale, scale } from '../../lib/master/operations/scale.js';
import { status } from '../../lib/master/plugins/face.js';
import { INTERVAL, Scaler } from '../../plugins/adaptive-workers/scaler.js';
import type { Sample } from '../../plugins/health-check/messages.js';
import type { Pulse } from '../../plugins/health-check/pulse.js';

type Tell = (pulse: Pulse, sample: Sample) => void;
const MB = 2 ** 20;

/** Workers of 1 to 4, two of them at first, whose samples and connections a test gives. */
async function following(t: TestContext, { min = 2, max = 4, quiet = 5_000 } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  let now = 10_000;
  t.mock.method(performance, 'now', () => now);
  const seen = { wait: 0, busy: 0.1, silence: 0, memory: null as { limit: number; workingSet: number } | null };
  const config = { workers: min, plugins: { 'adaptive-workers': { min, max, quiet } } };
  const next = { config };
  let tell: Tell = () => {};
  let master!: Master;
  const pulses = {
    interval: 1_000,
    onSample: (listener: Tell) => { tell = listener; },
    of: () => ({ silence: () => seen.silence }) as Pulse,
  };
  const plugin: Plugin = { name: 'adaptive-workers', apply(face) {
    master = { ...face, get slots() { return face.slots; }, get state() { return face.state; }, get config() { return face.config; } };
    Object.defineProperty(master, 'listening', { get: () => [{ longestWait: seen.wait }] });
    void new Scaler('adaptive-workers', master, pulses, { min, max, quiet }, () => seen.memory);
  } };
  const reloadConfig = async () => loadedWith(next.config);
  const fake = await running(t, { ...config, options: { reloadConfig } }, plugin);
  const { core, forks } = fake;
  const infos: string[] = [];
  core.logger.info = (message) => { infos.push(String(message)); };
  core.logger.warn = (message) => { infos.push(String(message)); };
  const sample = () => {
    for (const slot of core.workers.slots) {
      const { current } = slot;
      const before = { at: now - INTERVAL } as Sample;
      const last = { at: now, eventLoopUtilization: seen.busy } as Sample;
      if (current) tell({ child: current, samples: [before, last] } as unknown as Pulse, last);
    }
  };
  /** So many ms; a worker that is started is ready in the next turn. */
  const pass = async (ms: number) => {
    for (const end = now + ms; now < end;) {
      now += INTERVAL;
      sample();
      t.mock.timers.tick(INTERVAL);
      await turns(4);
      const coming = new Set(core.workers.children().filter(({ state }) => state === 'forked').map(({ pid }) => pid));
      for (const child of forks.alive) if (coming.has(child.pid)) child.ready();
      await turns(4);
    }
  };
  const told = async () => (await status(core)).adaptive!;
  const count = () => core.workers.slots.length;
  return { ...fake, seen, next, pass, told, count, infos, pulses };
}

test('a connection that waits brings another worker, up to the most; which one of both it was is told', async (t) => {
  const { seen, pass, told, count, infos, pulses } = await following(t);
  assert.equal(pulses.interval, INTERVAL);
  assert.deepEqual(await told(), {
    min: 2, max: 4, quiet: 5_000, scaled: false, lastMove: null, held: null, moves: [], holds: [],
  });
  seen.wait = 48;
  await pass(2 * INTERVAL);
  assert.equal(count(), 3);
  const { lastMove } = await told();
  assert.deepEqual({ ...lastMove, at: '' }, { from: 2, to: 3, cause: 'connection', why: 'a connection waited 48 ms for a worker', at: '' });
  assert.match(infos.join('\n'), /^more workers: a connection waited 48 ms for a worker$/m);
  seen.wait = 0;
  seen.busy = 0.9;
  await pass(4 * INTERVAL);
  assert.equal(count(), 4);
  await pass(10 * INTERVAL);
  assert.equal(count(), 4);
  const { moves, held, holds } = await told();
  assert.deepEqual(moves, [{ direction: 'up', cause: 'connection', count: 1 }, { direction: 'up', cause: 'utilization', count: 1 }]);
  assert.equal(held, 'more is asked than 4 can do, which are the most');
  assert.deepEqual(holds, [{ by: 'most', count: 1 }]);
});

test('with little to do one after the other drains, down to the fewest', async (t) => {
  const { seen, pass, told, count, forks } = await following(t);
  seen.busy = 0.9;
  await pass(3_000);
  assert.equal(count(), 4);
  seen.busy = 0.1;
  await pass(8_000);
  assert.equal(count(), 3, 'what was asked is evened out first');
  assert.deepEqual(forks.in(3).closes, ['scale']);
  await pass(5_000);
  assert.equal(count(), 2);
  await pass(60_000);
  assert.equal(count(), 2);
  assert.match((await told()).lastMove!.why, /^each event loop was busy below 0\.3 for 5 s$/);
});

test('a worker that comes has the others let go of connections that are kept open', async (t) => {
  const { seen, pass, forks } = await following(t);
  const asked: number[] = [];
  for (const slot of [0, 1]) forks.in(slot).channel.on('adaptive.spread', () => { asked.push(slot); });
  seen.wait = 100;
  await pass(2 * INTERVAL);
  assert.deepEqual(asked, [0, 1]);
});

test('`scale` within the range is the fewest from then on; outside it is refused and names the range', async (t) => {
  const { core, pass, told, count } = await following(t);
  const up = watched(scale(core, 3));
  await pass(INTERVAL);
  assert.equal(up.outcome.state, 'done');
  await pass(60_000);
  assert.equal(count(), 3, 'however little there is to do');
  const { min, scaled, lastMove, moves } = await told();
  assert.deepEqual([min, scaled, lastMove?.cause], [3, true, 'asked']);
  assert.deepEqual(moves, [{ direction: 'up', cause: 'asked', count: 1 }]);
  for (const [change, found] of [[1, 1], ['-2', 1], ['+2', 5], [9, 9]] as const) {
    await assert.rejects(scale(core, change), {
      code: 'ERR_CLUSTER_USAGE', message: `scale: expected from 2 to 4 workers, the range of \`workers\`, found ${found}`,
    });
  }
  assert.deepEqual(await scale(core, 2), { from: 3, to: 2 });
  assert.equal((await told()).min, 2);
});

test('what is asked for and is there already is the fewest all the same', async (t) => {
  const { core, seen, pass, count, told } = await following(t);
  seen.wait = 100;
  await pass(2 * INTERVAL);
  seen.wait = 0;
  assert.deepEqual(await scale(core, 3), { from: 3, to: 3 });
  await pass(60_000);
  assert.deepEqual([count(), (await told()).min], [3, 3]);
});

test('signals move the fewest as `scale` does, and one too many is a warning that names the range', async (t) => {
  const { core, pass, count, told, infos, errors } = await following(t);
  orderScale(core, 1);
  await pass(INTERVAL);
  assert.deepEqual([count(), (await told()).min], [3, 3]);
  orderScale(core, -1);
  await pass(INTERVAL);
  orderScale(core, -1);
  await pass(INTERVAL);
  assert.equal(count(), 2);
  assert.ok(infos.includes('by a signal: scale: expected from 2 to 4 workers, the range of `workers`, found 1'), infos.join('\n'));
  assert.deepEqual(errors, []);
});

test('a scale that fails, or that another plugin refuses, moves nothing', async (t) => {
  const { core, forks, told, pass, seen, count } = await following(t);
  const up = watched(scale(core, 3));
  await turns();
  forks.in(2).exits(1);
  await turns();
  assert.equal(up.code, 'ERR_CLUSTER_START');
  assert.deepEqual([(await told()).min, (await told()).lastMove], [2, null]);
  let refuses = true;
  core.hooks.beforeScale.tap('other', () => refuses ? 'not now' : undefined);
  await assert.rejects(scale(core, 4), { code: 'ERR_CLUSTER_USAGE', message: 'scale: not now' });
  refuses = false;
  seen.wait = 100;
  await pass(4 * INTERVAL);
  assert.ok(count() > 2);
  assert.equal((await told()).scaled, false);
});

test('a worker that does not come up is tried again after a pause, longer each time', async (t) => {
  const { core, seen, pass, told, forks, count } = await following(t);
  let gates = 0;
  core.hooks.beforeForkWorker.tapPromise('test', async () => {
    gates++;
    throw new Error('no more of them');
  });
  seen.wait = 100;
  await pass(4_000);
  assert.equal(gates, 1);
  const { held, holds } = await told();
  assert.match(held!, /^the last one could not be started; the next try is in [12] s$/);
  assert.deepEqual(holds, [{ by: 'failed', count: 1 }]);
  await pass(2_000);
  assert.equal(gates, 2);
  await pass(9_000);
  assert.equal(gates, 2);
  await pass(2_000);
  assert.equal(gates, 3);
  assert.deepEqual([count(), forks.alive.length], [2, 2]);
});

test('none that the container has no memory for', async (t) => {
  const { seen, pass, told, count } = await following(t);
  seen.memory = { limit: 100 * MB, workingSet: 91 * MB };
  seen.wait = 100;
  await pass(2_000);
  assert.equal(count(), 2);
  const { held, holds } = await told();
  assert.match(held!, /^91 MB of the container's 100 MB are in use, and another worker takes /);
  assert.deepEqual(holds, [{ by: 'memory', count: 1 }]);
  seen.memory = { limit: 100 * MB, workingSet: 50 * MB };
  await pass(2 * INTERVAL);
  assert.equal(count(), 3);
  assert.equal((await told()).held, null);
});

test('while something else is under way it lets that be, and what comes meanwhile waits for it', async (t) => {
  const { core, seen, pass, count } = await following(t);
  let done!: () => void;
  const recycled = watched(core.tasks.run('recycling', () => new Promise<void>((resolve) => { done = resolve; })));
  seen.wait = 100;
  await pass(2_000);
  assert.equal(count(), 2);
  done();
  await turns();
  assert.equal(recycled.outcome.state, 'done');
  await pass(2 * INTERVAL);
  assert.ok(count() > 2);
  const ours = core.tasks.run('scale', () => new Promise<void>((resolve) => { done = resolve; }), true);
  const asked = watched(scale(core, 4));
  await turns();
  assert.equal(asked.outcome.state, 'pending', 'nobody has asked for the other one, so this one is not refused');
  seen.wait = 0;
  done();
  await ours;
  await pass(INTERVAL);
  assert.equal(asked.outcome.state, 'done');
});

test('a reload brings another range, which holds at once; one without a range waits for a restart', async (t) => {
  const { core, next, seen, pass, told, count } = await following(t);
  seen.busy = 0.9;
  await pass(3_000);
  assert.equal(count(), 4);
  next.config = { workers: 1, plugins: { 'adaptive-workers': { min: 1, max: 3, quiet: 5_000 } } };
  /** A reload loads modules, which takes turns of its own. */
  const reloaded = async () => {
    const seen = watched(reload(core, 'test'));
    for (let looks = 0; looks < 500 && seen.outcome.state === 'pending'; looks++) await pass(INTERVAL);
    assert.equal(seen.outcome.state, 'done');
  };
  await reloaded();
  await pass(INTERVAL);
  assert.deepEqual(core.releases.current.waiting, []);
  assert.deepEqual([count(), (await told()).max, (await told()).lastMove!.cause], [3, 3, 'range']);
  next.config = { workers: 2, plugins: {} as never };
  await reloaded();
  assert.deepEqual(core.releases.current.waiting, ['workers: takes effect at a restart']);
  assert.deepEqual([(await told()).min, (await told()).max, count()], [1, 3, 3]);
});
