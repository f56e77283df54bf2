import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

test('SIGKILL of the master: what is in flight is answered, then all exit', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '2'] });
  const slow = get(`${cluster.url}/pid?delay=700`);
  await cluster.waitFor(() => cluster.processes().length >= 4);
  await get(cluster.url);
  cluster.signal('SIGKILL');
  assert.equal((await slow).status, 200);
  await cluster.waitFor(() => cluster.processes().length === 0, 6_000);
  assert.equal(cluster.output.match(/the master is gone, exiting with code:110/g)?.length, 3);
});

test('SIGKILL of the master under idle workers is no uncaught exception in one of them', async (t) => {
  const cluster = await startCluster(t, 'hello', { flags: ['-w', '6'] });
  cluster.signal('SIGKILL');
  await cluster.waitFor(() => cluster.processes().length === 0, 6_000);
  assert.equal(cluster.output.match(/exiting with code:110/g)?.length, 6);
  assert.doesNotMatch(cluster.output, /uncaught exception|Error:/);
});

test('SIGKILL of the master does not leave a worker in an endless loop behind', async (t) => {
  const config = withConfig(t, { workers: 2, plugins: { 'graceful-exit': { timeout: 1_000, agentTimeout: 500 } } });
  const cluster = await startCluster(t, 'life', { flags: ['--config', config] });
  await get(`${cluster.url}/loop`);
  cluster.signal('SIGKILL');
  await cluster.waitFor(() => cluster.processes().length === 0, 10_000);
});

test('SIGKILL of the master leaves neither record nor socket', async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '1'] });
  assert.equal(cluster.files().length, 2);
  cluster.signal('SIGKILL');
  await cluster.assertNothingLeft(6_000);
});

for (const [stage, env, pattern] of [
  ['the agent starts', { AGENT_MODE: 'never' }, /hatchery .* starts/],
  ['the agent loops', { AGENT_MODE: 'loops' }, /hatchery .* starts/],
  ['workers start', { BOOT_DELAY: '800' }, /agent_worker#1:\d+ started/],
  ['workers loop at import', { BOOT_LOOP: '1' }, /agent_worker#1:\d+ started/],
] as const) {
  test(`SIGKILL of the master while ${stage}: nothing is left`, async (t) => {
    const config = withConfig(t, { workers: 2, plugins: { 'graceful-exit': { timeout: 1_000, agentTimeout: 500 } } });
    const cluster = await startCluster(t, 'life', { ready: false, env, flags: ['--config', config] });
    await cluster.waitFor(pattern);
    await cluster.waitFor(() => cluster.processes().length >= 3);
    cluster.signal('SIGKILL');
    await cluster.waitFor(() => cluster.processes().length === 0, 8_000);
  });
}
