import assert from 'node:assert/strict';
import { test } from 'node:test';
import { autoWorkers } from '../../lib/config/resolve-config.js';
import { load, refusal, withConfig } from '../helpers/config-dir.js';

test('auto: a worker for each processor, no more than the quota, rounded up, and at least one', () => {
  for (const [quota, processors, workers, counted] of [
    [null, 4, 4, 'auto: 4 processors'],
    [null, 1, 1, 'auto: 1 processor'],
    [1.5, 4, 2, 'auto: a quota of 1.5 processors'],
    [0.1, 4, 1, 'auto: a quota of 0.1 processors'],
    [3.2, 4, 4, 'auto: 4 processors'],
    [16, 4, 4, 'auto: 4 processors'],
  ] as const) assert.deepEqual(autoWorkers({}, quota, processors), { workers, counted });
});

test('auto: WEB_CONCURRENCY wins, and only over auto', async (t) => {
  assert.deepEqual(autoWorkers({ WEB_CONCURRENCY: '7' }, 1, 4), { workers: 7, counted: 'auto: WEB_CONCURRENCY' });
  assert.equal(autoWorkers({ WEB_CONCURRENCY: '' }, null, 4).workers, 4);
  const env = { WEB_CONCURRENCY: '5' };
  assert.equal((await load(withConfig(t, {}), { env })).config.workers, 5);
  assert.equal((await load(withConfig(t, { workers: 2 }), { env })).config.workers, 2);
  assert.equal((await load(withConfig(t, {}), { env, command: 'dev' })).config.workers, 1);
});

test('a WEB_CONCURRENCY that is no number of workers is refused where it counts', async (t) => {
  for (const wrong of ['0', '-1', 'many', '1.5', '9999']) {
    assert.equal(await refusal(load(withConfig(t, {}), { env: { WEB_CONCURRENCY: wrong } })),
      `WEB_CONCURRENCY: expected a whole number from 1 to 1024, found "${wrong}"`);
  }
  assert.equal((await load(withConfig(t, { workers: 2 }), { env: { WEB_CONCURRENCY: 'many' } })).config.workers, 2);
});
