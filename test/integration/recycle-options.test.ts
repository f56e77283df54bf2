import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, run } from '../helpers/cluster.js';
import { withConfig } from '../helpers/with-config.js';

for (const [options, message] of [
  [{ cron: 'every day' }, /plugins\.health-check\.cron: expected a cron expression such as "0 4 \* \* \*", found "every day"/],
  [{ maxRss: '512 apples' }, /plugins\.health-check\.maxRss: expected a number of bytes or a text such as "512MB", found "512 apples"/],
  [{ maxRequests: 0 }, /plugins\.health-check\.maxRequests: expected a whole number from 1 up, found 0/],
  [{ hangTimeout: '30s' }, /plugins\.health-check\.hangTimeout: expected a number of milliseconds from 100 up, or false, found "30s"/],
  [{ port: 70_000 }, /plugins\.health-check\.port: expected a port from 0 to 65535, found 70000/],
  [{ jitter: 1 }, /plugins\.health-check\.jitter: expected a number from 0 to below 1, found 1/],
  [{ maxRs: 1 }, /plugins\.health-check\.maxRs: /],
] as const) {
  test(`${JSON.stringify(options)} is refused in one line, exit 2`, async (t) => {
    const config = withConfig(t, { plugins: { 'health-check': options } });
    const { code, stderr, stdout } = await run(['start', fixture('health-app'), '--config', config]);
    assert.match(stderr, message);
    assert.equal(code, 2, stdout);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  });
}
