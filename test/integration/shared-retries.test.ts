import assert from 'node:assert/strict';
import test from 'node:test';
import { startShared } from '../helpers/shared-app.js';

// Without an agent that shares it the real client is in worker 0, which calls itself.
for (const [where, env] of [['the agent', {}], ['a worker', { AGENT_SHARES: 'no' }]] as const) {
  test(`calls that are made again at once, for ever, keep no process from its end: the client is in ${where}`, async (t) => {
    const { cluster, anyone } = await startShared(t, { env: { ...env, GREEDY: '5' }, deadline: 30_000 });
    const { pid } = await anyone();
    assert.ok(pid > 0, 'it serves');
    assert.equal((await cluster.run('reload', [], 60_000)).code, 0, cluster.output);
    assert.equal((await cluster.stop(20_000)).code, 0);
    assert.doesNotMatch(cluster.output, /SIGKILL|hung/);
    await cluster.assertNothingLeft();
  });
}
