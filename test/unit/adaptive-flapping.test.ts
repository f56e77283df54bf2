import assert from 'node:assert/strict';
import test from 'node:test';
import { Load, Policy, type Move } from '../../plugins/adaptive-workers/policy.js';

const LOOK = 250;

/** Numbers from 0 to 1 that look like chance, the same for the same seed (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface World {
  range: { min: number; max: number; quiet: number };
  workers: number;
  /** What is asked at a time (ms), in workers that do nothing else. */
  load: (now: number) => number;
  length: number;
  random: () => number;
  /** Of a share, up and down. */
  noise?: number;
  /** How long a connection waits now and then while there is room, at most; ms. */
  hiccup?: number;
  /** Until a new worker is ready, or an old one gone, at most; ms. */
  slow?: number;
}

interface Made extends Move {
  at: number;
  /** It was carried out. */
  done: number;
}

/** What a policy makes of a load that all workers have an equal part of. */
function lived({ range, workers, load, length, random, noise = 0.05, hiccup = 19, slow = 4_000 }: World): Made[] {
  const policy = new Policy(() => range);
  const moves: Made[] = [];
  let loads = Array.from({ length: workers }, () => new Load(range.quiet));
  for (let now = 0; now < length; now += LOOK) {
    const each = load(now) / workers;
    for (const one of loads) one.add(Math.max(0, Math.min(1, each + (random() * 2 - 1) * noise)), LOOK);
    const wait = each > 1 ? 30 + random() * 100 : random() * hiccup;
    const move = policy.judge({ now, workers, complete: true, wait, silence: 0, loads });
    if (!move) continue;
    const done = now + random() * slow;
    moves.push({ ...move, at: now, done });
    now = done;
    loads = Array.from({ length: move.to }, (_, index) => loads[index] ?? new Load(range.quiet));
    workers = move.to;
    policy.forget(now);
  }
  return moves;
}

/** A load as nobody would think of it: steps, ramps, waves, spikes. */
function anyLoad(random: () => number, most: number): (now: number) => number {
  const waves = Array.from({ length: 4 }, () => ({ high: random() * most, long: 500 + random() ** 3 * 300_000, at: random() * 7 }));
  const steps = Array.from({ length: 20 }, () => random() ** 2 * most);
  const step = 1_000 + random() * 90_000;
  return (now) => (steps[Math.floor(now / step) % steps.length] as number) * (random() < 0.02 ? 3 : 1)
    + waves.reduce((sum, { high, long, at }) => sum + high * Math.max(0, Math.sin(now / long * 2 * Math.PI + at)) / 4, 0);
}

test('under any load: within the range, one down at a time, and none within `quiet` of another move', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = chance(seed);
    const min = 1 + Math.floor(random() * 4);
    const range = { min, max: min + Math.floor(random() * 12), quiet: 1_000 + Math.floor(random() * 60_000) };
    const length = 20 * 60_000;
    const moves = lived({ range, workers: range.min, load: anyLoad(random, range.max), length, random, hiccup: random() * 30 });
    const where = `seed ${seed}, ${JSON.stringify(range)}`;
    for (const [index, { from, to, at }] of moves.entries()) {
      assert.equal(Math.abs(to - from), 1, where);
      assert.ok(to >= range.min && to <= range.max, where);
      const before = moves[index - 1];
      if (to < from) assert.ok(at - (before?.done ?? 0) >= range.quiet, `${where}: down at ${at}, after a move at ${before?.done}`);
    }
    // Each down takes `quiet`; what goes up has come down before, or is on its way from the fewest to the most.
    const downs = moves.filter(({ from, to }) => to < from).length;
    assert.ok(downs <= length / range.quiet, where);
    assert.ok(moves.length <= range.max - range.min + 2 * downs, where);
  }
});

test('under a load that stays as it is the number never turns round', () => {
  let moved = 0;
  for (let seed = 1; seed <= 400; seed++) {
    const random = chance(seed);
    const range = { min: 1, max: 2 + Math.floor(random() * 14), quiet: 1_000 + Math.floor(random() * 30_000) };
    const load = random() * range.max * 1.2;
    const workers = 1 + Math.floor(random() * range.max);
    const moves = lived({ range, workers, load: () => load, length: 16 * range.quiet + 80_000, random });
    moved += moves.length;
    const ways = new Set(moves.map(({ from, to }) => Math.sign(to - from)));
    assert.ok(ways.size <= 1, `seed ${seed}: ${load} on ${workers}: ${moves.map(({ to }) => to).join(' ')}`);
    const last = moves.at(-1)?.to ?? workers;
    if (load < 0.2) assert.equal(last, 1, `seed ${seed}: there was time for all of them`);
    if (load > range.max) assert.equal(last, range.max, `seed ${seed}`);
  }
  assert.ok(moved > 400, 'these loads move something');
});

test('a little load that makes somebody wait now and then: who is missed each time is left there longer and longer', () => {
  const range = { min: 1, max: 4, quiet: 10_000 };
  const hours = 10 * 3_600_000;
  for (let seed = 1; seed <= 20; seed++) {
    const moves = lived({ range, workers: 1, load: () => 0.1, length: hours, random: chance(seed), hiccup: 25 });
    const turns = moves.filter(({ from, to }, index) => index > 0 && (to > from) !== (moves[index - 1]!.to > moves[index - 1]!.from));
    assert.ok(turns.length < 2 * (6 + hours / (8 * range.quiet)), `seed ${seed}: ${turns.length}`);
  }
});

test('a wave of 30 s is followed up to what its crest needs, and that is all', () => {
  const range = { min: 1, max: 8, quiet: 60_000 };
  for (let seed = 1; seed <= 50; seed++) {
    const random = chance(seed);
    const load = (now: number) => 1.6 * (1 - Math.cos(now / 30_000 * 2 * Math.PI));
    const moves = lived({ range, workers: 1, load, length: 600_000, random, noise: 0.02 });
    // 3.2 at the crest: four are at 0.8, which is not over it but for the noise.
    assert.ok(moves.length === 3 || moves.length === 4, `seed ${seed}: ${moves.map(({ to }) => to).join(' ')}`);
    assert.ok(moves.every(({ from, to }) => to > from), `seed ${seed}`);
  }
});

test('when the load ends the fewest are there after `quiet` for each of the others', () => {
  const range = { min: 2, max: 6, quiet: 10_000 };
  const moves = lived({
    range, workers: 2, load: (now) => now < 60_000 ? 5.5 : 0.2, length: 200_000, random: chance(7), slow: 500,
  });
  assert.deepEqual(moves.map(({ to }) => to), [3, 4, 5, 6, 5, 4, 3, 2]);
  assert.ok(moves[3]!.done < 10_000, 'up as fast as they start');
});
