import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

test('heapSnapshotNearLimit: a heap snapshot is written before the worker dies, and writing it is no hang', async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hsnap-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const config = withConfig(t, {
    workers: 1, execArgv: ['--max-old-space-size=48', `--diagnostic-dir=${dir}`],
    plugins: { 'health-check': { heapSnapshotNearLimit: 1, hangTimeout: 500 } },
  });
  const cluster = await startCluster(t, 'health-app', { flags: ['--config', config] });
  get(`${cluster.url}/oom`).catch(() => {});
  await cluster.waitFor(/app_worker#2:\d+ \(slot 0\) started/, 14_000);
  assert.ok(readdirSync(dir).some((file) => file.endsWith('.heapsnapshot')));
  assert.doesNotMatch(cluster.output, /unresponsive/);
  assert.equal((await cluster.status()).workers[0]?.lastExit?.cause, 'outOfMemory');
  assert.equal((await cluster.stop()).code, 0);
});
