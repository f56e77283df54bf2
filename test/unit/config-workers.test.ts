import assert from 'node:assert/strict';
import test from 'node:test';
import { mostWorkers, workerRange } from '../../lib/config/check.js';
import type { LoadRequest } from '../../lib/config/load.js';
import { load, refusal, withConfig } from '../helpers/config-dir.js';

const ranged = async (dir: string, request: LoadRequest = {}) => {
  const { config } = await load(dir, request);
  return [config.workers, workerRange(config), mostWorkers(config)];
};
/** As a flag gives it. */
const typed = (workers: string) => ({ flags: { workers } }) as unknown as LoadRequest;
const RANGE = { min: 2, max: 8, quiet: 60_000 };

test('a range: the fewest at first, and the plugin that moves the number is on', async (t) => {
  assert.deepEqual(await ranged(withConfig(t, { workers: { min: 2, max: 8 } })), [2, RANGE, 8]);
  assert.deepEqual(await ranged(withConfig(t, { workers: { min: 2, max: 8, quiet: 5_000 } })), [2, { ...RANGE, quiet: 5_000 }, 8]);
  assert.deepEqual(await ranged(withConfig(t, { workers: 3 })), [3, undefined, 3]);
});

test('where the plugin is off the fewest are all there are', async (t) => {
  assert.deepEqual(await ranged(withConfig(t, { workers: { min: 2, max: 8 }, plugins: { 'adaptive-workers': false } })), [2, undefined, 2]);
});

test('a flag and a variable say it as 2-8; a number in their place ends what a file says', async (t) => {
  const dir = withConfig(t, { workers: { min: 1, max: 3, quiet: 9_000 } });
  assert.deepEqual(await ranged(dir, typed('2-8')), [2, { ...RANGE, quiet: 9_000 }, 8]);
  assert.deepEqual(await ranged(dir, { env: { CLUSTER_WORKERS: '2-8' } }), [2, { ...RANGE, quiet: 9_000 }, 8]);
  assert.deepEqual(await ranged(dir, typed('4')), [4, undefined, 4]);
  assert.deepEqual(await ranged(withConfig(t, { workers: 5 }), typed('2-8')), [2, RANGE, 8]);
});

test('where each value comes from', async (t) => {
  const { provenance } = await load(withConfig(t, { workers: { min: 2, max: 8 } }));
  assert.equal(provenance['plugins.adaptive-workers']?.where, '.clusterrc');
  assert.equal(provenance['plugins.adaptive-workers']?.counted, 'workers');
});

const files: [config: object, says: string][] = [
  [{ workers: { min: 4, max: 3 } }, '.clusterrc: workers.min: expected at most max (3), found 4'],
  [{ workers: { min: '2', max: 8 } }, '.clusterrc: workers.min: expected a whole number from 1 to 1024, found "2"'],
  [{ workers: { min: 2, max: 1025 } }, '.clusterrc: workers.max: expected a whole number from 1 to 1024, found 1025'],
  [{ workers: { min: 2, max: 8, quiet: 999 } }, '.clusterrc: workers.quiet: expected whole milliseconds from 1000 up, found 999'],
  [{ workers: { min: 1 } }, '.clusterrc: workers.max: expected a whole number from 1 to 1024, found nothing'],
  [{ workers: { min: 1, mx: 3 } }, '.clusterrc: workers.mx: unknown key, did you mean "max"?'],
  [{ workers: 2, plugins: { 'adaptive-workers': true } },
    '.clusterrc: plugins.adaptive-workers: expected `workers` to be { min, max } where it is on, found 2'],
  [{ workers: 2, plugins: { 'adaptive-workers': { min: 1, max: 4 } } },
    '.clusterrc: plugins.adaptive-workers: expected true or false, found {"min":1,"max":4}: the range is the key `workers`'],
];
for (const [config, says] of files) {
  test(says, async (t) => assert.equal(await refusal(load(withConfig(t, config))), says));
}

test('on a command line, and in a variable, it is the flag, and the variable, that is named', async (t) => {
  const dir = withConfig(t, {});
  assert.equal(await refusal(load(dir, typed('8-2'))), '--workers: expected at most max (2), found 8');
  assert.equal(await refusal(load(dir, { env: { CLUSTER_WORKERS: '0-3' } })),
    'CLUSTER_WORKERS: expected a whole number from 1 to 1024, found 0');
  assert.equal(await refusal(load(dir, typed('2-'))),
    '--workers: expected a whole number from 1 to 1024, "auto" or a range such as 2-8, found "2-"');
});
