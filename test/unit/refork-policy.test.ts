import assert from 'node:assert/strict';
import test from 'node:test';
import { Deaths, inWindow, nextStreak, reforkDelay } from '../../lib/master/processes/policies.js';

const options = { limit: 60, duration: 60_000, minDelay: 0, maxDelay: 15_000 };

test('the first two deaths in a row are replaced at once, then the delay doubles up to maxDelay', () => {
  const delays = Array.from({ length: 12 }, (_, i) => reforkDelay(i + 1, options));
  assert.deepEqual(delays, [0, 0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000]);
});

test('minDelay is the least, maxDelay the most', () => {
  assert.equal(reforkDelay(1, { ...options, minDelay: 500 }), 500);
  assert.equal(reforkDelay(1_000, { ...options, maxDelay: 700 }), 700);
  assert.equal(reforkDelay(50, { ...options, minDelay: 2_000, maxDelay: 1_000 }), 2_000);
});

test('a long life starts the count afresh, a short one adds to it', () => {
  assert.equal(nextStreak(7, 59_999, options), 8);
  assert.equal(nextStreak(7, 60_000, options), 1);
});

test('a slot that crashes every 5 s is not forked more often than the delay allows', () => {
  let now = 0;
  let streak = 0;
  let forks = 0;
  while (now < 600_000) {
    now += 5_000;
    streak = nextStreak(streak, 5_000, options);
    now += reforkDelay(streak, options);
    forks++;
  }
  assert.ok(forks < 45, `${forks} forks in ten minutes`);
});

test('the limit counts deaths within the window only', () => {
  const history = Array.from({ length: 60 }, (_, i) => i * 1_000);
  assert.equal(inWindow(history, 70_000, options).length, 49);
  const deaths = new Deaths();
  const said = history.map((time) => deaths.add(time, options));
  assert.deepEqual(said.slice(-2), ['below', 'reached'], 'the sixtieth within a minute');
  assert.equal(deaths.add(59_500, options), 'above', 'said once');
  assert.equal(deaths.add(190_000, options), 'below', 'the window has moved on');
});
