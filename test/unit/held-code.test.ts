import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { brotliDecompressSync } from 'node:zlib';
import { packageRoot } from '../../lib/kit/package.js';

test('the one file that a master holds has what children run and what it loads late, as the build has made it', () => {
  const all = readFileSync(path.join(packageRoot, 'dist/held.br'));
  const end = all.indexOf('\n');
  const names = JSON.parse(all.toString('utf8', 0, end)) as string[];
  const texts = JSON.parse(brotliDecompressSync(all.subarray(end + 1)).toString()) as string[];
  assert.equal(texts.length, names.length);
  for (const [at, name] of names.entries()) assert.equal(texts[at], readFileSync(path.join(packageRoot, name), 'utf8'), name);
  for (const name of [
    'lib/child/worker-main.cjs', 'lib/child/worker.cjs', 'lib/child/agent-main.cjs', 'lib/child/agent.cjs', 'lib/child/words-first.cjs',
    'lib/kit/import-module.cjs', 'lib/messenger/bus.cjs', 'plugins/sticky-session/worker.cjs', 'vendor/ws.cjs', 'vendor/cosmiconfig.cjs',
  ]) assert.ok(names.includes(`dist/${name}`), name);
  assert.ok(!names.includes('dist/lib/child/alone.cjs'));
  // Four fifths less than the files.
  assert.ok(all.length * 4 < texts.join('').length, `${all.length} bytes`);
});
