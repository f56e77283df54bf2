import assert from 'node:assert/strict';
import test from 'node:test';
import { eventually } from '../helpers/eventually.js';
import { startShared, type Failed, type Where } from '../helpers/shared-app.js';

test('the agent is SIGKILLed: calls under way reject with a code, a worker leads at once, then the next agent', async (t) => {
  const { cluster, on } = await startShared(t);
  const { pid } = (await on<Where>(0, 'where')).result;
  await on(0, 'listen', 'k');
  await on(1, 'publish', 'k', 'before');
  const sleeping = on<Failed>(1, 'sleep', 10_000);
  await eventually(async () => (await on<string[]>(0, 'used')).result.includes('sleep 10000'));
  process.kill(pid, 'SIGKILL');
  assert.equal((await sleeping).result.error.code, 'ERR_CLUSTER_LEADER_LOST');
  const during = (await on<Where>(1, 'where')).result;
  assert.equal(during.slot, 0, 'the lowest slot that is ready');
  await on(1, 'publish', 'k', 'during');
  await eventually(async () => (await on(0)).heard.includes('during'));
  await eventually(async () => (await on<Where>(1, 'where')).result.slot === -1);
  assert.notEqual((await on<Where>(0, 'where')).result.pid, pid);
  // Said again to the next one, and nothing older over it.
  assert.equal((await on(0, 'get', 'k')).result, 'during');
  await on(1, 'publish', 'k', 'after');
  await eventually(async () => (await on(0)).heard.at(-1) === 'after');
  await cluster.stop();
  await cluster.assertNothingLeft();
});

test('without an agent that shares it: worker 0 leads, and when it is SIGKILLed worker 1', async (t) => {
  const { cluster, on } = await startShared(t, { env: { AGENT_SHARES: 'no' }, flags: ['-w', '3'] });
  const { pid, slot } = (await on<Where>(2, 'where')).result;
  assert.equal(slot, 0);
  assert.deepEqual([(await on(0, 'leads')).result, (await on(1, 'leads')).result], [true, false]);
  process.kill(pid, 'SIGKILL');
  await eventually(async () => (await on<Where>(2, 'where')).result.slot === 1);
  await cluster.waitFor(/app_worker#4:\d+ \(slot 0\) started/);
  assert.equal((await on<Where>(0, 'where')).result.slot, 1, 'who leads goes on leading');
  assert.equal((await cluster.run('scale', ['1'])).code, 0, cluster.output);
  assert.equal((await on<Where>(0, 'where')).result.slot, 0);
  await cluster.stop();
  await cluster.assertNothingLeft();
});
