import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { Load } from '../helpers/load.js';

test('an uncaught exception in the agent: logged, its onClose run, exit 1, a new one; the workers go on', async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-agent-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const cluster = await startCluster(t, 'drain-agent', { flags: ['--workers', '1'], env: { FAILED: path.join(dir, 'failed') } });
  const load = new Load({ perConnection: 1 }, { http: { port: cluster.port }, pause: 5 }, t);
  await cluster.waitFor(/\[agent\] uncaught exception: .*\n.*agent failed on purpose\n +at /);
  await cluster.waitFor(/agent: put away\n/);
  await cluster.waitFor(/agent_worker#1:\d+ .*exited with code 1/);
  await cluster.waitFor(/agent_worker#2:\d+ .*started/);
  assert.equal((await cluster.status()).workers[0]?.restarts, 0);
  await load.stop();
  assert.equal(load.lost, 0, load.report());
  assert.equal((await cluster.stop()).code, 0);
  await cluster.assertNothingLeft();
});
