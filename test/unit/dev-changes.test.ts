import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Changes } from '../../plugins/dev-reload/changes.js';
import { configChanges } from '../../plugins/dev-reload/config-changes.js';
import type { Config } from '../../lib/config/schema.js';

test('changes are told once, when no more have come for a while', (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  let told = 0;
  const changes = new Changes(30, () => { told++; });
  changes.add('a.js');
  mock.timers.tick(20);
  changes.add('b.js');
  changes.add('a.js');
  mock.timers.tick(20);
  assert.equal(told, 0);
  assert.equal(changes.due, false);
  mock.timers.tick(10);
  assert.equal(told, 1);
  assert.equal(changes.due, true);
  assert.deepEqual(changes.take(), ['a.js', 'b.js']);
  assert.equal(changes.pending, false);
});

test('a file that changes at each start is warned of once', () => {
  const changes = new Changes(5, () => {});
  const warned: number[] = [];
  for (let n = 1; n <= 20; n++) {
    changes.started();
    if (changes.add('stamp.json')) warned.push(n);
    changes.take();
  }
  changes.stop();
  assert.deepEqual(warned, [10]);
});

test('what differs between two configurations, and what of it needs a start', () => {
  const before = { title: 'a', workers: 1, env: { A: '1', B: '2' }, log: { level: 'info' } } as unknown as Config;
  const after = { title: 'b', workers: 2, env: { A: '1', C: '3' }, log: { level: 'info' } } as unknown as Config;
  assert.deepEqual(configChanges(before, after), [
    { text: 'title "a" -> "b"', needsRestart: true },
    { text: 'workers 1 -> 2', needsRestart: false },
    { text: 'env.B "2" -> not set', needsRestart: false },
    { text: 'env.C not set -> "3"', needsRestart: false },
  ]);
});
