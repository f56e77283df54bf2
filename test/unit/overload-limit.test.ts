import assert from 'node:assert/strict';
import test from 'node:test';
import { Limit } from '../../plugins/overload/limit.js';
import type { Priority } from '../../plugins/overload/priorities.js';

const TARGET = 50;
const INTERVAL = 250;
const limitOf = (requests?: number) => new Limit({ target: TARGET, interval: INTERVAL, requests });

/** The event loop has had something to do all the time. */
const busy = () => 0;

/** Each ms somebody comes who has waited so long, from one time to another. */
function stand(limit: Limit, from: number, to: number, wait: number): void {
  for (let now = from; now <= to; now++) limit.saw(now, wait);
}

test('it is over once each has waited too long for the whole interval, and not before', () => {
  const limit = limitOf();
  stand(limit, 0, INTERVAL - 1, TARGET + 1);
  assert.equal(limit.over, false);
  assert.equal(limit.takes('normal', 10 * TARGET, 0, busy), true, 'a burst clears by itself');
  stand(limit, INTERVAL, INTERVAL, TARGET + 1);
  assert.equal(limit.over, true);
  assert.equal(limit.takes('normal', TARGET + 1, 0, busy), false);
  assert.equal(limit.takes('normal', TARGET, 0, busy), true);
});

test('one who has not waited too long in between begins the interval anew', () => {
  const limit = limitOf();
  stand(limit, 0, 200, TARGET + 1);
  limit.saw(201, TARGET);
  stand(limit, 202, 202 + INTERVAL - 1, TARGET + 1);
  assert.equal(limit.over, false);
});

test('it stays over while the queue hovers at the target, and through one gap in it', () => {
  const limit = limitOf();
  stand(limit, 0, 300, 60);
  for (let now = 300; now < 5_000; now++) {
    limit.saw(now, now % 100 === 0 ? 0 : 45 + now % 10);
    assert.equal(limit.over, true, `at ${now}`);
  }
});

test('it is over no more when somebody found nobody before him and for an interval nobody waited too long', () => {
  const limit = limitOf();
  stand(limit, 0, 300, 60);
  limit.saw(301, 0);
  stand(limit, 302, 301 + INTERVAL - 1, 30);
  assert.equal(limit.over, true);
  limit.saw(301 + INTERVAL, 30);
  assert.equal(limit.over, false);
});

test('where nobody comes for an interval all is forgotten', () => {
  const limit = limitOf();
  stand(limit, 0, 300, 60);
  limit.look(300 + INTERVAL);
  assert.equal(limit.over, true);
  limit.look(301 + INTERVAL);
  assert.equal(limit.over, false);
  limit.saw(2_000, 60);
  limit.saw(2_000 + INTERVAL + 1, 60);
  assert.equal(limit.over, false, 'two that are far from each other say nothing of what was between');
});

test('the lowest priorities go first, and what is never shed stays', () => {
  const limit = limitOf();
  stand(limit, 0, 300, 60);
  const taken = (wait: number) => (['low', 'normal', 'high', 'never'] as Priority[]).filter((one) => limit.takes(one, wait, 0, busy));
  assert.deepEqual(taken(TARGET / 2), ['low', 'normal', 'high', 'never']);
  assert.deepEqual(taken(TARGET), ['normal', 'high', 'never']);
  assert.deepEqual(taken(2 * TARGET), ['high', 'never']);
  assert.deepEqual(taken(1_000 * TARGET), ['never']);
});

test('so many requests under way are the most, by their priority, over the limit or not', () => {
  const limit = limitOf(10);
  const all: Priority[] = ['low', 'normal', 'high', 'never'];
  const taken = (underWay: number) => all.filter((one) => limit.takes(one, 0, underWay, busy));
  assert.deepEqual(taken(4), ['low', 'normal', 'high', 'never']);
  assert.deepEqual(taken(5), ['normal', 'high', 'never']);
  assert.deepEqual(taken(10), ['high', 'never']);
  assert.deepEqual(taken(20), ['never']);
});

test('requests that are slow by themselves are waited for longer, and not without end', () => {
  const limit = limitOf();
  limit.worked(100, 10);
  assert.deepEqual([limit.cost, limit.target, limit.interval], [10, TARGET, INTERVAL]);
  for (let times = 0; times < 50; times++) limit.worked(300, 3);
  assert.deepEqual([Math.round(limit.cost), Math.round(limit.target), Math.round(limit.interval)], [100, 400, 2_000]);
  for (let times = 0; times < 50; times++) limit.worked(60_000, 1);
  assert.deepEqual([limit.target, limit.interval], [10 * TARGET, 10 * INTERVAL]);
  limit.worked(100, 0);
  limit.worked(100, 10, 11);
  assert.ok(limit.cost > 1_000, 'where nothing was answered, or most was shed, nothing is known');
});

/** The same numbers at each run. */
function random(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

/** What one that is shed costs, of one that is served. */
const SHED = 0.03;

interface Served { at: number; wait: number }

interface Life { seed: number; cost: number; rate: (now: number) => number; until: number; apart?: number; room?: number }

/**
 * One worker that takes one after the other, `cost` ms each, and a fraction of that for one that it sheds; who comes, by chance. They
 * reach it so many ms `apart` at least, and beyond so many that wait (`room`) they do not at all.
 */
function live({ seed, cost, rate, until, apart = 0, room = Infinity }: Life) {
  const draw = random(seed);
  const limit = limitOf();
  const served: Served[] = [];
  let [shed, free, coming, loopAt, loopServed, idle, last] = [0, 0, 0, 0, 0, 0, -Infinity];
  for (; coming < until; coming += -Math.log(1 - draw()) * 1_000 / rate(coming)) {
    const now = Math.max(coming, free, last + apart);
    const wait = now - coming;
    if (wait > room * Math.max(apart, cost)) continue;
    idle += now - free;
    last = now;
    limit.saw(now, wait);
    const isTaken = limit.takes('normal', wait, 0, () => idle);
    if (isTaken) served.push({ at: now, wait });
    else shed++;
    if (isTaken) idle = 0;
    free = now + (isTaken ? cost : cost * SHED);
    if (now - loopAt > 200) {
      limit.worked((served.length - loopServed) * cost, served.length - loopServed);
      [loopAt, loopServed] = [now, served.length];
    }
  }
  return { served, shed, limit };
}

test('whatever comes beyond what can be done, that much is done, and nobody waits for longer than he may', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const draw = random(seed * 7);
    const cost = [0.5, 2, 5, 20, 60][seed % 5] as number;
    const times = 1.5 + draw() * 3.5;
    const rate = times * 1_000 / cost;
    const until = 30_000;
    // Whoever is shed costs something, too.
    const most = (1 - rate / 1_000 * SHED * cost) / (1 - SHED);
    const { served, limit } = live({ seed, cost, rate: () => rate, until });
    const steady = served.filter(({ at }) => at > 5_000);
    const share = steady.length * cost / (until - 5_000);
    assert.ok(share > 0.98 * most, `seed ${seed}: ${cost} ms, ${times.toFixed(1)} times: ${share.toFixed(3)} of ${most.toFixed(3)}`);
    const longest = Math.max(...steady.map(({ wait }) => wait));
    assert.ok(longest <= limit.target * 1.3, `seed ${seed}: ${cost} ms: waited ${longest.toFixed(0)} of ${limit.target.toFixed(0)} ms`);
  }
});

test('where they come to it slowly, and late, it serves them rather than be idle', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const cost = [2, 5, 20][seed % 3] as number;
    const [apart, until] = [1.3 * cost, 20_000];
    const { served } = live({ seed, cost, rate: () => 3_000 / cost, until, apart, room: 4 * TARGET / cost });
    const share = served.filter(({ at }) => at > 5_000).length * apart / (until - 5_000);
    assert.ok(share > 0.75, `seed ${seed}: ${cost} ms: ${share.toFixed(2)} of those that come`);
  }
});

test('below seven tenths of what can be done next to nothing is shed', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const cost = [0.5, 2, 5, 20, 60][seed % 5] as number;
    const { served, shed } = live({ seed, cost, rate: () => 700 / cost, until: 60_000 });
    assert.ok(shed <= served.length * 0.02, `seed ${seed}: ${cost} ms: ${shed} of ${served.length}`);
  }
});

test('when too much has come and gone, nothing is shed any more within two intervals', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const cost = [1, 5, 10][seed % 3] as number;
    const calm = 10_000;
    const { limit } = live({ seed, cost, rate: (now) => (now < calm ? 2_500 : 300) / cost, until: calm + 3 * INTERVAL });
    assert.equal(limit.over, false, `seed ${seed}`);
  }
});
