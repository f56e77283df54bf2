import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

test('a replacement that does not boot: the old worker goes on, the error is logged, and the next try waits', async (t) => {
  const config = withConfig(t, { workers: 1, plugins: { 'health-check': { maxAge: 1_500 } } });
  const broken = path.join(path.dirname(config), 'broken');
  writeFileSync(broken, 'no');
  const cluster = await startCluster(t, 'health-app', { flags: ['--config', config], env: { BROKEN_FILE: broken } });
  const { pid } = (await get(cluster.url)).json;
  writeFileSync(broken, 'yes');
  await cluster.waitFor(/could not be recycled \(age [^]*; it goes on, the next try is in 5000ms[^]*the code is broken/, 8_000);
  assert.equal((await get(cluster.url)).json.pid, pid);
  assert.equal((await cluster.status()).state, 'running');
  assert.equal((await cluster.stop()).code, 0);
});
