import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { orderReload, reload } from '../../lib/master/operations/reload.js';
import { restart } from '../../lib/master/operations/restart.js';
import { orderScale, replaceWorker, scale } from '../../lib/master/operations/scale.js';
import { close } from '../../lib/master/operations/shutdown.js';
import { defaults } from '../../lib/config/schema.js';
import { assertSound, running, watched, type FakeCore } from '../helpers/fake-core.js';
import { turns, type FakeChild } from '../helpers/fake-forker.js';

/** Numbers that are the same for the same seed (mulberry32). */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const SEEDS = 300;
const STEPS = 24;

interface Game extends FakeCore {
  roll(below: number): number;
  /** Operations that were asked for, by their names. */
  asked: [name: string, seen: ReturnType<typeof watched<unknown>>][];
  /** What a scale has said last. */
  count: number;
  tick(ms: number): void;
}

const one = ({ roll, forks }: Game): FakeChild | undefined => forks.alive[roll(Math.max(1, forks.alive.length))];

const ask = (game: Game, name: string, promise: Promise<unknown>) => { game.asked.push([name, watched(promise)]); };
const scaled = (game: Game, to: number) => ask(game, `scale ${to}`, scale(game.core, to).then((result) => { game.count = result.to; }));

/** What may happen, each as likely as the number before it says. */
const moves: [weight: number, name: string, move: (game: Game) => void][] = [
  [8, 'ready', (game) => { for (const child of game.forks.alive) if (game.roll(2)) child.ready(); }],
  [5, 'death', (game) => one(game)?.exits(1)],
  [2, 'two deaths', (game) => { one(game)?.exits(1); one(game)?.exits(null, 'SIGKILL'); }],
  [3, 'leave', (game) => one(game)?.leaves(game.roll(2) ? 'signal' : 'uncaught')],
  [2, 'lost pipe', (game) => one(game)?.closesPipe()],
  [2, 'clean exit', (game) => one(game)?.exits(0)],
  [2, 'stubborn', (game) => { const child = one(game); if (child) child.manners.obeys = false; }],
  [4, 'reload', (game) => ask(game, 'reload', reload(game.core, 'random', { queue: game.roll(2) === 0 }))],
  [1, 'order reload', (game) => orderReload(game.core, 'random')],
  [2, 'restart', (game) => ask(game, 'restart', restart(game.core, 'random', { agent: game.roll(2) === 0 }))],
  [3, 'scale', (game) => scaled(game, 1 + game.roll(4))],
  [1, 'order scale', (game) => orderScale(game.core, game.roll(2) ? 1 : -1)],
  [2, 'recycle', (game) => {
    const child = game.core.workers.ready()[0];
    if (child) ask(game, 'recycle', replaceWorker(game.core, child, 'recycle'));
  }],
  [2, 'forks fail', ({ forks, roll }) => { forks.failing = roll(2) ? null : roll(2) ? new Error('EAGAIN') : 'no descriptors'; }],
  [6, 'time', (game) => game.tick([0, 20, 200, 1_000, 6_000][game.roll(5)]!)],
  [1, 'much time', (game) => game.tick(31_000)],
];
const total = moves.reduce((sum, [weight]) => sum + weight, 0);

function draw(game: Game): [string, (game: Game) => void] {
  let at = game.roll(total);
  for (const [weight, name, move] of moves) {
    if (at < weight) return [name, move];
    at -= weight;
  }
  throw new Error('unreachable');
}

async function play(t: TestContext, seed: number): Promise<void> {
  const roll = dice(seed);
  const fake = await running(t, {
    agent: roll(2) === 0, workers: 1 + roll(3), reload: { soak: roll(2) * 500, batch: 1 + roll(2) },
    refork: { ...defaults.refork, limit: 1_000 },
  });
  // Nobody gives up in the midst of a game: the three strikes have a test of their own.
  fake.core.workers.leftReturn = true;
  if (roll(2) === 0) {
    fake.core.hooks.beforeForkWorker.tapPromise('slow', () => new Promise((resolve) => { setTimeout(resolve, roll(3) * 300); }));
  }
  const game: Game = { ...fake, roll, asked: [], count: fake.core.workers.slots.length, tick: (ms) => t.mock.timers.tick(ms) };
  fake.forks.manners.takes = roll(3) * 150;
  const steps: string[] = [];
  const closesAt = roll(3) === 0 ? STEPS : roll(STEPS);
  for (let step = 0; step < closesAt; step++) {
    const [name, move] = draw(game);
    steps.push(name);
    move(game);
    await turns(1 + roll(3));
    assertSound(fake, `seed ${seed}: ${steps.join(', ')}`);
  }
  const where = `seed ${seed}: ${steps.join(', ')}, close`;
  const closed = watched(close(fake.core, 'end'));
  for (let step = 0; step < 40 && closed.outcome.state === 'pending'; step++) {
    if (roll(3) === 0) one(game)?.ready();
    await turns(3);
    assertSound(fake, where);
    t.mock.timers.tick(1_000);
  }
  await turns();
  assert.equal(closed.outcome.state, 'done', `${where}: it never closes`);
  assert.equal(fake.forks.alive.length, 0, `${where}: somebody lives`);
  const forked = fake.forks.all.length;
  t.mock.timers.tick(120_000);
  await turns();
  assert.equal(fake.forks.all.length, forked, `${where}: somebody is forked after the end`);
  for (const [name, { outcome }] of game.asked) assert.notEqual(outcome.state, 'pending', `${where}: ${name} has not settled`);
}

test(`${SEEDS} random orders of forks, deaths, reloads, scales and a close: nobody is lost, all settles`, async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const [first, count] = process.env.SEED ? [Number(process.env.SEED), 1] : [1, SEEDS];
  for (let seed = first; seed < first + count; seed++) {
    const undo: (() => void)[] = [];
    const scope = { after: (fn: () => void) => { undo.push(fn); }, mock: t.mock } as unknown as TestContext;
    try {
      await play(scope, seed);
    } finally {
      for (const one of undo) one();
    }
  }
});

/** Left to itself, a cluster comes back to what it was asked for. */
test('after random deaths and reloads, once forks succeed: every slot serves, and there are as many as the last scale said', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  for (let seed = 1; seed <= 100; seed++) {
    const roll = dice(seed * 7_919);
    const undo: (() => void)[] = [];
    const fake = await running({ after: (fn) => { undo.push(fn as () => void); } }, {
      agent: roll(2) === 0, workers: 1 + roll(3), refork: { ...defaults.refork, limit: 1_000 },
    });
    const game: Game = { ...fake, roll, asked: [], count: fake.core.workers.slots.length, tick: (ms) => t.mock.timers.tick(ms) };
    const steps: string[] = [];
    for (let step = 0; step < STEPS; step++) {
      const [name, move] = draw(game);
      if (name === 'restart' || name === 'order scale' || name === 'much time') continue;
      steps.push(name);
      move(game);
      await turns(1 + roll(3));
    }
    const where = `seed ${seed}: ${steps.join(', ')}`;
    fake.forks.failing = null;
    fake.forks.manners.boots = true;
    for (let second = 0; second < 90; second++) {
      for (const child of fake.forks.alive) child.ready();
      await turns(4);
      t.mock.timers.tick(1_000);
    }
    assertSound(fake, where);
    for (const [name, { outcome }] of game.asked) assert.notEqual(outcome.state, 'pending', `${where}: ${name} has not settled`);
    assert.equal(fake.core.workers.slots.length, game.count, `${where}: the number of slots`);
    assert.ok(fake.core.workers.complete,
      `${where}: ${fake.core.workers.slots.map(({ current, refork, left }) => `${current?.state ?? refork.delay} ${left}`).join(', ')}`);
    assert.equal(fake.core.releases.current.loaded.config.workers, game.count, `${where}: the configuration's number`);
    assert.equal(fake.forks.alive.length, fake.core.workers.slots.length + fake.core.agent.children().length,
      `${where}: somebody is left over`);
    const generations = new Set(fake.core.workers.ready().map(({ generation }) => generation));
    if (fake.core.lastReload?.ok) {
      assert.deepEqual([...generations], [fake.core.releases.current.generation], `${where}: old code after a reload`);
    }
    const closed = close(fake.core, 'end', { force: true });
    await turns();
    t.mock.timers.tick(500);
    await closed;
    for (const one of undo) one();
  }
});
