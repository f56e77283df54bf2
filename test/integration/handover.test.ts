import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { descriptors, startCluster, type Scope, type TestCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { Load } from '../helpers/load.js';
import { withConfig } from '../helpers/with-config.js';

const DEBUG = 'hatchery:handover';

async function served(scope: Scope, env: Record<string, string>): Promise<TestCluster> {
  return startCluster(scope, 'drain-app', { env: { DEBUG, ...env }, flags: ['--config', withConfig(scope, { workers: 2, agent: false })] });
}

/** A reload and a stop of the load under way; nothing may be lost. */
async function reloaded(scope: Scope, cluster: TestCluster): Promise<void> {
  const load = new Load({ keepAlive: 4, perConnection: 8 }, { http: { port: cluster.port } }, scope);
  await cluster.waitFor(() => load.answered > 500);
  assert.equal((await cluster.run('reload')).code, 0);
  await load.stop();
  assert.equal(load.lost, 0, load.report());
}

test('connections reach each worker over a pipe of their own, made with the first of them', async (t) => {
  const cluster = await served(t, {});
  assert.doesNotMatch(cluster.output, /pipe of their own/);
  await reloaded(t, cluster);
  // Both workers, and both of their successors.
  await cluster.waitFor(() => cluster.output.match(/pipe of their own/g)?.length === 4);
  const before = descriptors(cluster.pid);
  await reloaded(t, cluster);
  // The last connection of the load, or the command's, may still be about to close.
  await eventually(() => descriptors(cluster.pid) <= before);
  assert.deepEqual(cluster.files().filter((file) => /\/ht-[^/]+\/s$/.test(file)), []);
  await cluster.stop();
  await cluster.assertNothingLeft();
});

test('where no pipe can be had they come as node:cluster sends them', async (t) => {
  const file = path.join(mkdtempSync(path.join(os.tmpdir(), 'ht-')), 'no-pipe.cjs');
  t.after(() => rmSync(path.dirname(file), { recursive: true }));
  writeFileSync(file, `const fs = require('node:fs');
    const { mkdtempSync } = fs;
    fs.mkdtempSync = (prefix, ...rest) => {
      if (prefix.endsWith('/ht-')) throw new Error('no place');
      return mkdtempSync(prefix, ...rest);
    };`);
  const cluster = await served(t, { NODE_OPTIONS: `--require ${file}` });
  await reloaded(t, cluster);
  assert.match(cluster.output, /stay on Node's channel/);
  assert.doesNotMatch(cluster.output, /pipe of their own/);
  await cluster.stop();
  await cluster.assertNothingLeft();
});
