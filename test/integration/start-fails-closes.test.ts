import assert from 'node:assert/strict';
import test from 'node:test';
import { fixture, startCluster } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';
import { withConfig } from '../helpers/with-config.js';

const start = (t: Parameters<typeof startCluster>[0], config: object, env = {}) => startCluster(t, fixture('start-fails'), {
  ready: false, env, flags: ['--config', withConfig(t, { workers: 2, agent: fixture('start-fails/agent.js'), ...config })],
});

test('a start that fails runs the onClose functions of the agent and of the workers that were up', async (t) => {
  const cluster = await start(t, {});
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /the second one fails/);
  assert.match(cluster.output, /worker#0 closes/);
  assert.match(cluster.output, /agent closes \(stop\)\n(?:.*\n)*?agent is closed/);
  assert.ok(cluster.output.indexOf('worker#0 closes') < cluster.output.indexOf('agent closes'), 'workers may still need the agent');
  await cluster.assertNothingLeft();
});

test('within agentTimeout, whatever hangs', async (t) => {
  const cluster = await start(t, { plugins: { 'graceful-exit': { agentTimeout: 700 } } }, { HANGS: '1' });
  await cluster.waitFor(/agent closes/);
  const began = performance.now();
  assert.equal((await cluster.ended()).code, 1);
  assert.ok(performance.now() - began < 3_000);
  assert.doesNotMatch(cluster.output, /agent is closed/);
  await cluster.assertNothingLeft();
});

test('so does the one that fails, and those that are on their way', async (t) => {
  const { dir } = ownApp(t, {
    'package.json': { name: 'unready' },
    'server.js': `module.exports = async ({ slot, onClose }) => {
  onClose(() => console.log('slot ' + slot + ' closes'));
  if (slot > 0) await new Promise(() => {});
  await new Promise((resolve) => setTimeout(resolve, 500));
  throw new Error('not today');
};`,
  });
  const cluster = await startCluster(t, dir, { ready: false, flags: ['-w', '2'] });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /not today/);
  assert.match(cluster.output, /slot 0 closes/);
  assert.match(cluster.output, /slot 1 closes/);
  await cluster.assertNothingLeft();
});
