import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { freePort, startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

test('the app\'s own checks: false, an error and one that hangs make it 503 with the reason; a blocked worker cannot hide', async (t) => {
  const port = await freePort();
  const probe = `http://127.0.0.1:${port}/readyz`;
  const config = withConfig(t, { workers: 1, plugins: { 'health-check': { port, checkTimeout: 400, hangTimeout: 4_000 } } });
  const file = path.join(path.dirname(config), 'check');
  writeFileSync(file, 'yes');
  await startCluster(t, 'health-app', { flags: ['--config', config], env: { CHECK_FILE: file } }).then(async (cluster) => {
    assert.equal((await get(probe)).status, 200);
    for (const [state, reason] of [
      ['no', /check "file": returned false/], ['throw', /check "file": the database is away/],
      ['hang', /check "file": not done within 400 ms/],
    ] as const) {
      writeFileSync(file, state);
      const answer = await get(probe);
      assert.equal(answer.status, 503, answer.text);
      const [summary, ...reasons] = answer.json.reasons as string[];
      assert.equal(summary, '0 of 1 workers needed are ready (1 of 1 run)');
      assert.match(reasons.join(), reason);
      assert.match(reasons.join(), /worker#0 \(pid \d+\)/);
    }
    writeFileSync(file, 'yes');
    assert.equal((await get(probe)).status, 200);

    const blocked = get(`${cluster.url}/block?ms=2000`);
    const began = performance.now();
    let answer = await get(probe);
    while (answer.status === 200 && performance.now() - began < 1_500) answer = await get(probe);
    assert.equal(answer.status, 503, 'the master tells of a worker that cannot');
    await blocked;
    while ((await get(probe)).status !== 200) assert.ok(performance.now() - began < 5_000);
    assert.equal((await cluster.stop()).code, 0);
  });
});
