import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { fixture, run } from '../helpers/cluster.js';
import { withConfig } from '../helpers/with-config.js';

test('a health port that is taken: one clear error, nothing started, exit 1', async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => { other.listen(0, '127.0.0.1', resolve); });
  t.after(() => other.close());
  const { port } = other.address() as AddressInfo;
  const config = withConfig(t, { plugins: { 'health-check': { port } } });
  const { code, stderr, stdout } = await run(['start', fixture('health-app'), '--config', config, '--port', '0']);
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`plugins\\.health-check\\.port: port ${port} on 127\\.0\\.0\\.1 is taken`));
  assert.doesNotMatch(stdout, /app_worker/);
  assert.doesNotMatch(stderr, /\n\s+at /, 'no stack trace');
});
