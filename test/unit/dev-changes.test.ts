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
