import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

/** A connection that reaches a worker between its exit and the master's knowing of it hangs for ever in bare node:cluster. */
test('a connection that was handed to a dying worker is answered by its replacement, or closed, and never hangs', async (t) => {
  const cluster = await startCluster(t, 'life', {
    flags: ['--config', withConfig(t, { workers: 1, agent: false, refork: { maxDelay: 0 } })],
  });
  const outcomes: Record<string, number> = {};
  for (let round = 0; round < 12; round++) {
    await get(`${cluster.url}/exit?code=1`);
    const answers = await Promise.all(Array.from({ length: 5 }, () => get(cluster.url, { deadline: 5_000 })
      .then(() => 'answered', (error: NodeJS.ErrnoException) => error.code ?? error.message)));
    for (const outcome of answers) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  const { answered = 0, ECONNRESET = 0 } = outcomes;
  // Reset: the worker had taken the connection over before it exited.
  assert.equal(answered + ECONNRESET, 60, JSON.stringify(outcomes));
  assert.ok(answered > 40, JSON.stringify(outcomes));
  await cluster.stop();
  await cluster.assertNothingLeft();
});
