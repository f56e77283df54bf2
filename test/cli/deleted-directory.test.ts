import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { bin, node, startCluster } from '../helpers/cluster.js';
import { answering, ownApp } from '../helpers/own-app.js';

test('a shell in a directory that was deleted stops what it names by its whole path, and hears why nothing else works', async (t) => {
  const { dir } = ownApp(t, { 'package.json': { name: 'whole-path' }, 'app.js': answering('here') });
  const cluster = await startCluster(t, dir, { title: false });
  const from = (command: string) => {
    const gone = mkdtempSync(path.join(os.tmpdir(), 'ht-gone-'));
    const line = `cd "${gone}" && rmdir "${gone}" && "${node}" "${bin}" ${command}`;
    return spawnSync('/bin/sh', ['-c', line], { encoding: 'utf8', env: { ...process.env, PWD: undefined }, timeout: 20_000 });
  };
  assert.match(from(`status "${dir}"`).stdout, /running/);
  const relative = from('stop app');
  assert.equal(relative.status, 2);
  assert.match(relative.stderr, /the working directory was deleted/);
  const { status, stderr } = from(`stop "${dir}"`);
  assert.equal(status, 0, stderr);
  await cluster.waitFor(() => cluster.exited);
});
