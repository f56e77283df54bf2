import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Sandbox, SERVER } from './sandbox.js';

test('what is kept compiled from one run to the next changes nothing, be it whole or spoiled', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SERVER, 'cluster.config.mjs': 'export default { workers: 3 };' });
  const kept = path.join(sandbox.dir, 'kept');
  const config = () => sandbox.run(['config', dir, '--json'], { env: { NODE_COMPILE_CACHE: kept } });
  const first = await config();
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /cluster\.config\.mjs/);
  const files = readdirSync(kept, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  assert.ok(files.length > 0);
  assert.equal((await config()).stdout, first.stdout);
  for (const file of files) writeFileSync(file, 'spoiled');
  assert.equal((await config()).stdout, first.stdout);
});
