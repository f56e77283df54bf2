import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';

test('the agent module runs once, and every worker can ask it', async (t) => {
  const cluster = await startCluster(t, 'with-agent', { flags: ['-w', '2'] });
  const answers = [];
  for (let i = 0; i < 6; i++) answers.push((await get(cluster.url)).json);
  assert.deepEqual(answers.map(({ visits }) => visits), [1, 2, 3, 4, 5, 6]);
  assert.equal(new Set(answers.map(({ slot }) => slot)).size, 2);
  assert.equal((await cluster.stop()).code, 0);
  assert.match(cluster.output, /\[agent\] 6 visits/);
  await cluster.assertNothingLeft();
});

test('an agent that rejects ends the start with its own error', async (t) => {
  const cluster = await startCluster(t, 'agent-rejects', { flags: ['-w', '2'], ready: false });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /Error: no lock on the queue[^]*agent-rejects\/agent\.js:2/);
  assert.doesNotMatch(cluster.output, /app_worker/, 'no worker was started');
  await cluster.assertNothingLeft();
});
