import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as v from 'valibot';
import { schema } from '../../plugins/health-check/options.js';

test('health-check without options has the documented defaults', () => {
  assert.deepEqual(v.parse(schema, {}), {
    hangTimeout: 30_000, jitter: 0.1, host: '127.0.0.1', status: false, quorum: 1, checkTimeout: 2_000,
  });
});

test('sizes are bytes or texts with a unit', () => {
  for (const [given, bytes] of [
    [1_000, 1_000], ['512MB', 512 * 2 ** 20], ['1.5 GB', 1.5 * 2 ** 30], ['64kb', 65_536], ['100', 100],
  ] as const) {
    assert.equal(v.parse(schema, { maxRss: given }).maxRss, bytes, String(given));
  }
  for (const wrong of ['', 'MB', '-1MB', '1TB', 0, -5, null, true]) {
    assert.equal(v.safeParse(schema, { maxRss: wrong }).success, false, String(wrong));
  }
});
