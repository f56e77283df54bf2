import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster, type TestCluster } from '../helpers/cluster.js';
import { FaultSwitch, faultyArgv } from '../helpers/faulty.js';
import { unsuited } from '../helpers/skips.js';
import { withConfig } from '../helpers/with-config.js';

const skip = process.platform === 'linux' ? false : unsuited.linux;
/** What the reaper waits before it kills is as long as the drains. */
const SHORT = { plugins: { 'graceful-exit': { timeout: 1_000, agentTimeout: 1_000 } } };
const shells = (cluster: TestCluster): number[] =>
  cluster.processes().filter(({ command }) => command.endsWith('hatchery-reaper')).map(({ pid }) => pid);

/** Another one, which knows who lives: they go with a master that is killed. */
async function takesOver(cluster: TestCluster, before: number): Promise<void> {
  await cluster.waitFor(() => shells(cluster).some((pid) => pid !== before), 8_000);
  const workers = cluster.workerPids();
  // They cannot notice anything by themselves.
  for (const pid of workers) process.kill(pid, 'SIGSTOP');
  cluster.signal('SIGKILL');
  await cluster.waitFor(() => cluster.workerPids().length === 0, 12_000);
}

test('the reaper\'s shell dies: another takes over', { skip }, async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '2', '--config', withConfig(t, SHORT)] });
  await cluster.waitFor(() => shells(cluster).length === 1);
  const [shell = 0] = shells(cluster);
  process.kill(shell, 'SIGKILL');
  await takesOver(cluster, shell);
});

test('SIGTERM to all processes of a service leaves the reaper\'s shell: who hangs goes with the master', { skip }, async (t) => {
  const cluster = await startCluster(t, 'life', { flags: ['-w', '2', '--config', withConfig(t, SHORT)] });
  await cluster.waitFor(() => shells(cluster).length === 1);
  const [shell = 0] = shells(cluster);
  for (const pid of cluster.workerPids()) process.kill(pid, 'SIGSTOP');
  process.kill(shell, 'SIGTERM');
  cluster.signal('SIGKILL');
  await cluster.waitFor(() => cluster.workerPids().length === 0, 12_000);
});

test('the pipe to the reaper\'s shell breaks while the master lives: nobody is ended, another takes over', { skip }, async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hr-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'faults');
  const flags = ['-w', '2', '--config', withConfig(t, SHORT)];
  const cluster = await startCluster(t, 'faulted', { flags, execArgv: faultyArgv, env: { FAULTS: file } });
  const faults = await FaultSwitch.to(file);
  t.after(() => faults.close());
  await cluster.waitFor(() => shells(cluster).length === 1);
  const [shell = 0] = shells(cluster);
  const workers = cluster.workerPids();
  const { agent } = await cluster.status();
  // The first text that is written after a death is what the reaper is told.
  await faults.turn({ name: 'pipe.writeUtf8String', nth: 1, code: 'EPIPE' });
  process.kill(agent!.pid, 'SIGKILL');
  await cluster.waitFor(() => !shells(cluster).includes(shell), 5_000);
  assert.ok((await faults.turn()).fired);
  await delay(500);
  assert.deepEqual(cluster.workerPids(), workers);
  assert.equal((await cluster.status()).state, 'running', 'its record and its socket are there');
  await takesOver(cluster, shell);
});
