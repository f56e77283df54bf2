import assert from 'node:assert/strict';
import test from 'node:test';
import { TimeLimit } from '../../lib/master/processes/time-limit.js';
import { turns } from '../helpers/fake-forker.js';

/** As a fork does on a machine that is short of memory. */
const holdUp = (ms: number): void => {
  const until = performance.now() + ms;
  while (performance.now() < until);
};

for (const heard of [true, false]) {
  test(`a master that was held up ${heard ? 'hears who has become ready meanwhile' : 'kills who has not'}`, async () => {
    let kills = 0;
    const limit = new TimeLimit((then) => then, () => { kills++; });
    limit.arm(10);
    // What has come is read before the loop comes to what was put off until after that.
    if (heard) setImmediate(() => limit.disarm());
    holdUp(100);
    await turns();
    assert.equal(kills, heard ? 0 : 1);
    assert.equal(limit.armed, !heard);
  });
}
