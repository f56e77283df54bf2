import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { answering, ownApp } from '../helpers/own-app.js';
import { withConfig } from '../helpers/with-config.js';

test('the agent is SIGKILLed: the workers serve on, a new one comes after a second', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '1'] });
  const before = await cluster.status();
  process.kill(before.agent!.pid, 'SIGKILL');
  await cluster.waitFor(/agent_worker#1:\d+ was ended by SIGKILL \(crash\)/);
  const died = performance.now();
  assert.equal((await get(cluster.url)).json.pid, before.workers[0]?.pid);
  await cluster.waitFor(/agent_worker#2:\d+ started/);
  const took = performance.now() - died;
  assert.ok(took > 900 && took < 3_000, `${took} ms`);
  const after = await cluster.status();
  assert.equal(after.agent?.restarts, 1);
  await cluster.stop();
  await cluster.assertNothingLeft();
});

test('an agent that fails at its start ends the start with its own error, exit 1', async (t) => {
  const cluster = await startCluster(t, 'life', { ready: false, env: { AGENT_MODE: 'throws' } });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /the agent has no credentials/);
  assert.match(cluster.output, /agent\.js:\d+/);
  assert.doesNotMatch(cluster.output, /app_worker/);
  await cluster.assertNothingLeft();
});

for (const mode of ['never', 'loops']) {
  test(`an agent that is never ready (${mode}) ends the start at startTimeout, exit 1`, async (t) => {
    const cluster = await startCluster(t, 'life', { ready: false, env: { AGENT_MODE: mode }, flags: ['--start-timeout', '700'] });
    assert.equal((await cluster.ended()).code, 1);
    assert.match(cluster.output, /agent \(pid \d+\) was not ready within 700 ms/);
    await cluster.assertNothingLeft();
  });
}

test('an agent that does not close is killed at its deadline, and the exit code is still 0', async (t) => {
  const config = withConfig(t, { workers: 1, plugins: { 'graceful-exit': { agentTimeout: 300 } } });
  const cluster = await startCluster(t, 'life', { env: { AGENT_MODE: 'stubborn' }, flags: ['--config', config] });
  const started = performance.now();
  assert.equal((await cluster.stop()).code, 0);
  assert.ok(performance.now() - started < 3_000);
  await cluster.assertNothingLeft();
});

test('a reload whose new agent fails says so with exit 1, and the agent is tried again until it comes up', async (t) => {
  const app = ownApp(t, { 'server.js': answering('x'), 'agent.js': '' });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'] });
  app.write('agent.js', 'throw new Error("no lease");');
  const reload = await cluster.run('reload');
  assert.equal(reload.code, 1);
  assert.match(reload.stdout + reload.stderr, /no lease/);
  await cluster.waitFor(/agent_worker#3:\d+ exited with code 1/);
  app.write('agent.js', '');
  await cluster.waitFor(/agent_worker#[4-9]:\d+ started/);
  assert.equal((await get(cluster.url)).json.text, 'x');
  assert.equal((await cluster.stop()).code, 0);
  await cluster.assertNothingLeft();
});
