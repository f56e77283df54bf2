import assert from 'node:assert/strict';
import test from 'node:test';
import { Load, Policy, type Look } from '../../plugins/adaptive-workers/policy.js';

const LOOK = 250;
const RANGE = { min: 1, max: 4, quiet: 60_000 };

/** A policy and its looks, one every 250 ms; `seen` is what they see until it is changed. */
function looking(range = { ...RANGE }) {
  const policy = new Policy(() => range);
  let now = 10_000;
  const seen: Omit<Look, 'now'> = { workers: 2, complete: true, wait: 0, silence: 0, loads: [] };
  const calm = { stays: false, level: 0.1 };
  const look = (change: Partial<Look> = {}) => {
    now += LOOK;
    Object.assign(seen, change);
    const loads = change.loads ?? Array.from({ length: seen.workers }, () => calm);
    return policy.judge({ ...seen, now, loads });
  };
  const looks = (count: number, change: Partial<Look> = {}) => Array.from({ length: count }, () => look(change)).filter(Boolean);
  return { policy, range, look, looks, pass: (ms: number) => { now += ms; } };
}

test('a connection that waits asks for another worker at the second look in a row, not at one', () => {
  const { look } = looking();
  assert.equal(look({ wait: 21 }), null);
  assert.equal(look({ wait: 20 }), null, 'no longer than it may');
  assert.equal(look({ wait: 21 }), null);
  assert.deepEqual(look({ wait: 48.4 }), {
    from: 2, to: 3, cause: 'connection', why: 'a connection waited 48 ms for a worker',
  });
  assert.equal(look({ wait: 48, workers: 3 }), null, 'the new one has to show what it does');
});

test('over 100 ms are no pause of a garbage collector, so one look is enough', () => {
  const { look } = looking();
  assert.equal(look({ wait: 101 })?.cause, 'connection');
});

test('a look that comes early is no second one', () => {
  const { look, pass } = looking();
  assert.equal(look({ wait: 30 }), null);
  pass(-LOOK + 20);
  assert.equal(look({ wait: 40 }), null);
  assert.equal(look({ wait: 40 })?.cause, 'connection');
});

test('where a slot has no worker its connections wait for that, and no other is asked for', () => {
  const { looks } = looking();
  assert.deepEqual(looks(8, { wait: 900, complete: false }), []);
});

test('a slot that stays over 0.8 asks for another, whatever the others do', () => {
  const { look } = looking();
  const busy = { stays: true, level: 0.9 };
  const idle = { stays: false, level: 0 };
  assert.equal(look({ loads: [{ stays: false, level: 0.9 }, idle] }), null, 'that was one sample');
  assert.equal(look({ loads: [idle, busy] })?.cause, 'utilization');
  assert.equal(look({ workers: 3, loads: [idle, busy, idle] }), null, 'measured before the third was there');
  assert.equal(look({ workers: 3, loads: [idle, { stays: true, level: 0.9 }, idle] })?.to, 4);
});

test('a worker that has said nothing for a second is as busy as one can be', () => {
  const { looks } = looking();
  assert.deepEqual(looks(3, { silence: 900 }), []);
  assert.deepEqual(looks(2, { silence: 1_300 }).map((move) => move?.cause), ['silence']);
});

test('at the most nothing moves, and that is known as long as more is asked', () => {
  const { policy, looks } = looking();
  assert.deepEqual(looks(4, { workers: 4, wait: 90 }), []);
  assert.equal(policy.short, true);
  looks(1, { wait: 0 });
  assert.equal(policy.short, false);
});

test('one is taken away after `quiet`, the next one after `quiet` again, none below the fewest', () => {
  const { looks, look } = looking();
  const whole = RANGE.quiet / LOOK;
  assert.deepEqual(looks(whole, { workers: 3 }), []);
  assert.deepEqual(look(), { from: 3, to: 2, cause: 'quiet', why: 'each event loop was busy below 0.3 for 60 s' });
  assert.deepEqual(looks(whole, { workers: 2 }), []);
  assert.equal(look()?.to, 1);
  assert.deepEqual(looks(3 * whole, { workers: 1 }), []);
});

for (const [what, change] of [
  ['a slot at 0.3', { loads: [{ stays: false, level: 0.3 }, { stays: false, level: 0 }] }],
  ['a slot of which nothing is known', { loads: [{ stays: false, level: 0 }] }],
  ['a slot without a worker', { complete: false }],
  ['a worker that is silent', { silence: 1_100 }],
] as const) {
  test(`${what}: the time of little load begins anew`, () => {
    const { looks, look } = looking();
    const whole = RANGE.quiet / LOOK;
    assert.deepEqual(looks(whole), []);
    assert.equal(look(change), null);
    assert.deepEqual(looks(whole, { complete: true, silence: 0 }), []);
    assert.equal(look()?.to, 1);
  });
}

test('a single connection that waited does not prolong the time of little load', () => {
  const { looks, look } = looking();
  looks(100);
  look({ wait: 90 });
  assert.deepEqual(looks(RANGE.quiet / LOOK, { wait: 0 }).map((move) => move?.to), [1]);
});

test('what somebody has scaled to is the fewest, as long as the range has it', () => {
  const { policy, looks, look, range } = looking();
  policy.floor = 3;
  assert.equal(policy.range.min, 3);
  assert.deepEqual(look({ workers: 2 }), { from: 2, to: 3, cause: 'range', why: 'there are to be 3 to 4' });
  assert.deepEqual(looks(2 * RANGE.quiet / LOOK, { workers: 3 }), []);
  range.max = 2;
  assert.deepEqual(policy.range, { ...range, min: 1 });
  assert.deepEqual(look({ workers: 3 })?.to, 2, 'a reload has brought another range, and that holds at once');
});

test('a load is evened out, and begins with what is known first', () => {
  const load = new Load(60_000);
  assert.equal(load.level, 1, 'nothing is known');
  load.add(0.1, 250);
  assert.equal(load.level, 0.1);
  load.add(1, 250);
  assert.ok(load.level > 0.13 && load.level < 0.15, String(load.level));
  assert.equal(load.over, 250);
  load.add(0.81, 250);
  assert.equal(load.over, 500);
  load.add(0.8, 250);
  assert.equal(load.over, 0);
  const short = new Load(1_000);
  short.add(0, 250);
  short.add(1, 250);
  assert.ok(short.level > 0.6, 'over a part of `quiet`');
});
