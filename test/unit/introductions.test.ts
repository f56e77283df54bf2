import assert from 'node:assert/strict';
import test from 'node:test';
import { Introductions } from '../../lib/messenger/router.js';
import { turns } from '../helpers/fake-forker.js';

test('who speaks past the master is told of a change at once, and of many that follow at once too', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let told = 0;
  let members = 1;
  const staff = () => ({
    colleagues: Array.from({ length: members }, (_, slot) => ({
      pid: slot + 1, slot, ready: true, start() {},
      tell() {
        told = members;
        const until = performance.now() + 20;
        while (performance.now() < until);
      },
    })),
    slots: members, complete: true, tapped: [],
  });
  const introductions = new Introductions(staff, () => '/nowhere', assert.fail);
  introductions.join();
  await turns(1);
  assert.equal(told, 1);
  for (members = 2; members < 5; members++) {
    introductions.changed();
    await turns(1);
  }
  assert.equal(told, 1, 'it rests');
  t.mock.timers.tick(1_000);
  assert.equal(told, 5);
});
