import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runChecks } from '../../plugins/health-check/checks.js';

test('checks run side by side, each with its time limit; those that fail are told with their reason', async () => {
  const began = performance.now();
  const failed = await runChecks(new Map<string, () => unknown>([
    ['fine', () => true],
    ['nothing', () => undefined],
    ['no', () => Promise.resolve(false)],
    ['throws', () => { throw new Error('away'); }],
    ['rejects', () => Promise.reject(new Error('gone'))],
    ['a text', () => { throw 'plain'; }],
    ['hangs', () => new Promise(() => {})],
    ['hangs too', () => new Promise(() => {})],
  ]), 100);
  assert.ok(performance.now() - began < 190, 'side by side');
  assert.deepEqual(failed, [
    { name: 'no', reason: 'returned false' },
    { name: 'throws', reason: 'away' },
    { name: 'rejects', reason: 'gone' },
    { name: 'a text', reason: 'plain' },
    { name: 'hangs', reason: 'not done within 100 ms' },
    { name: 'hangs too', reason: 'not done within 100 ms' },
  ]);
});
