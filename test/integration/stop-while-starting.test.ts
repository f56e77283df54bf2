import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';

for (const [stage, env, pattern] of [
  ['the agent starts', { AGENT_MODE: 'never' }, /starts "/],
  ['the agent loops', { AGENT_MODE: 'loops' }, /starts "/],
  ['workers start', { BOOT_DELAY: '600' }, /agent_worker#1:\d+ started/],
  ['workers loop at import', { BOOT_LOOP: '1' }, /agent_worker#1:\d+ started/],
] as const) {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal} while ${stage}: it closes within two seconds and leaves nothing`, async (t) => {
      const cluster = await startCluster(t, 'life', { ready: false, env, flags: ['-w', '2'] });
      await cluster.waitFor(pattern);
      await cluster.waitFor(() => cluster.processes().length >= 3);
      cluster.signal(signal);
      const { code } = await cluster.ended(4_000);
      assert.equal(code, 0);
      await cluster.assertNothingLeft();
    });
  }
}
