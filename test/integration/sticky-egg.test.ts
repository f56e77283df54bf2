import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { addresses, ask } from '../helpers/sticky.js';
import { withConfig } from '../helpers/with-config.js';

/** What tells clients apart in each mode. */
const modes = {
  connection: (n: number) => ({ from: addresses(12)[n] as string }),
  request: (n: number) => ({ headers: { 'x-client': `client ${n}` } }),
};

for (const [mode, client] of Object.entries(modes)) {
  test(`an Egg application: the same client reaches the same worker, by ${mode}`, async (t) => {
    // In production Egg writes its logs below the home directory.
    const home = mkdtempSync(path.join(os.tmpdir(), 'ht-egg-'));
    t.after(() => rmSync(home, { recursive: true, force: true }));
    const options = mode === 'request' ? { mode, key: { header: 'x-client' } } : { mode };
    const config = withConfig(t, { workers: 3, framework: 'egg', plugins: { 'sticky-session': options } });
    const cluster = await startCluster(t, 'egg3', { flags: ['--config', config], env: { HOME: home }, deadline: 40_000 });
    const slots = new Set<unknown>();
    for (let n = 0; n < 12; n++) {
      const answers = await Promise.all(Array.from({ length: 4 }, () => ask(cluster, '/', client(n))));
      assert.equal(new Set(answers.map(({ slot }) => slot)).size, 1, `client ${n}`);
      slots.add(answers[0]?.slot);
    }
    assert.equal(slots.size, 3);
    assert.equal((await cluster.stop()).code, 0);
    await cluster.assertNothingLeft();
  });
}
