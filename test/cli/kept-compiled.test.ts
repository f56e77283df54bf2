import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../lib/kit/package.js';
import { node } from '../helpers/cluster.js';
import { Sandbox, SERVER } from './sandbox.js';

test('what is kept compiled from one run to the next changes nothing, be it whole or spoiled', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SERVER, 'cluster.config.mjs': 'export default { workers: 3 };' });
  const kept = path.join(sandbox.dir, 'kept');
  const config = () => sandbox.run(['config', dir, '--json'], { env: { NODE_COMPILE_CACHE: kept } });
  const first = await config();
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /cluster\.config\.mjs/);
  const files = readdirSync(kept, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  assert.ok(files.length > 0);
  assert.equal((await config()).stdout, first.stdout);
  for (const file of files) writeFileSync(file, 'spoiled');
  assert.equal((await config()).stdout, first.stdout);
});

test('two installations of one version: a stack shows the paths of the one that runs', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', {
    'server.js': SERVER,
    'mine.mjs': `export default { name: "mine", apply({ hooks }) {
      hooks.configResolved.tap("mine", () => { throw new Error("no"); });
    } };`,
    '.clusterrc': '{"plugins":{"./mine.mjs":true}}',
  });
  const kept = path.join(sandbox.dir, 'kept');
  for (const name of ['one', 'other']) {
    const root = path.join(sandbox.dir, name);
    mkdirSync(root);
    cpSync(path.join(packageRoot, 'dist'), path.join(root, 'dist'), { recursive: true });
    for (const file of ['package.json', 'node_modules']) symlinkSync(path.join(packageRoot, file), path.join(root, file));
    const config = (app: string) => spawnSync(node, [path.join(root, 'dist/bin/framework.js'), 'config', app], {
      encoding: 'utf8', env: { ...sandbox.env, NODE_COMPILE_CACHE: kept },
    });
    // A good end keeps what was compiled.
    assert.equal(config(sandbox.app('plain')).status, 0);
    assert.match(config(dir).stderr, new RegExp(`${root}/dist/core\\.cjs`));
  }
});
