import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Changes } from '../../plugins/dev-reload/changes.js';
import { configChanges } from '../../plugins/dev-reload/config-changes.js';
import type { Config } from '../../lib/config/schema.js';

test('changes are told once, when no more have come for a while', (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const told: string[][] = [];
  const changes = new Changes(30, (files) => { told.push([...files.keys()]); });
  changes.add('a.js');
  mock.timers.tick(20);
  changes.add('b.js');
  changes.add('a.js');
  mock.timers.tick(20);
  assert.deepEqual(told, []);
  assert.equal(changes.pending, true);
  mock.timers.tick(10);
  assert.deepEqual(told, [['a.js', 'b.js']]);
  assert.equal(changes.pending, false);
});

test('one file that is whole and stays alone is told after a third of the time, anything else after all of it', (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const told: string[][] = [];
  const empty = new Set<string>();
  const changes = new Changes(30, (files) => { told.push([...files.keys()]); }, (file) => !empty.has(file));
  const heardAfter = (...steps: [add: string | null, ms: number][]): string[][] => {
    told.length = 0;
    for (const [file, ms] of steps) {
      if (file !== null) changes.add(file);
      // One by one, as a timer that another one makes begins at the end of a tick.
      for (let n = 0; n < ms; n++) mock.timers.tick(1);
    }
    return [...told];
  };
  assert.deepEqual(heardAfter(['a.js', 9]), []);
  assert.deepEqual(heardAfter([null, 1]), [['a.js']]);
  // Written twice.
  assert.deepEqual(heardAfter(['a.js', 9], ['a.js', 9]), []);
  assert.deepEqual(heardAfter([null, 1]), [['a.js']]);
  assert.deepEqual(heardAfter(['a.js', 9], ['b.js', 29]), []);
  assert.deepEqual(heardAfter([null, 1]), [['a.js', 'b.js']]);
  empty.add('a.js');
  assert.deepEqual(heardAfter(['a.js', 29]), []);
  assert.deepEqual(heardAfter([null, 1]), [['a.js']]);
  // One that is known to change all the time has a wait of its own.
  changes.add('c.js', 1_000);
  assert.deepEqual(heardAfter([null, 999]), []);
  assert.deepEqual(heardAfter([null, 1]), [['c.js']]);
});

test('who waits for stillness hears of it when what has come is told', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const order: string[] = [];
  const changes = new Changes(30, () => { order.push('told'); });
  assert.equal(changes.still(), undefined);
  changes.add('a.js');
  const still = changes.still()?.then(() => { order.push('still'); });
  for (let n = 0; n < 30; n++) mock.timers.tick(1);
  await still;
  assert.deepEqual(order, ['told', 'still']);
  assert.equal(changes.still(), undefined);
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
