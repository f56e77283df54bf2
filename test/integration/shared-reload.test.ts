import assert from 'node:assert/strict';
import test from 'node:test';
import { pacesOf, startShared, type Where } from '../helpers/shared-app.js';

/** Milliseconds that the real client of the fixture takes until it is ready: who waits for a new one waits longer. */
const SLOW = 800;

for (const [where, env] of [['the agent', {}], ['a worker', { AGENT_SHARES: 'no' }]] as const) {
  test(`at a reload of a client in ${where} no call waits, fails or is lost`, async (t) => {
    const { cluster, on } = await startShared(t, { env: { ...env, PACE: '1', SLOW: String(SLOW) }, deadline: 30_000 });
    await on(0, 'where');
    const before = (await on<Where>(0, 'where')).result.pid;
    assert.equal((await cluster.run('reload', [], 60_000)).code, 0, cluster.output);
    // The agent takes over a while after it is ready.
    await new Promise((resolve) => { setTimeout(resolve, SLOW + 500); });
    const { agent, workers } = await cluster.status();
    const { pid } = (await on<Where>(1, 'where')).result;
    assert.notEqual(pid, before);
    assert.equal(pid, where === 'the agent' ? agent?.pid : workers[0]?.pid);
    assert.equal((await cluster.stop(20_000)).code, 0);
    const paces = pacesOf(cluster);
    assert.equal(paces.length, 4);
    assert.deepEqual(paces.flatMap(({ errors }) => errors), []);
    const longest = Math.max(...paces.map((one) => one.longest));
    t.diagnostic(`the longest of ${paces.reduce((sum, { calls }) => sum + calls, 0)} calls took ${longest.toFixed(1)} ms`);
    assert.ok(longest < SLOW / 2, `${longest} ms`);
    const closed = cluster.output.match(/registry closed in \d+/g) ?? [];
    assert.equal(new Set(closed).size, closed.length, 'each real client is closed once');
    await cluster.assertNothingLeft();
  });
}
