import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { test, type TestContext } from 'node:test';
import { node, startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { unsuited } from '../helpers/skips.js';

for (const name of ['typescript', 'typescript-export']) {
  test(`${name}: a TypeScript entry runs, by Node or by the app's tsx`, async (t) => {
    const cluster = await startCluster(t, name, { flags: ['-w', '2'] });
    const { json } = await get(cluster.url);
    assert.equal(json.by, 'typescript');
    assert.equal((await cluster.stop()).code, 0);
    await cluster.assertNothingLeft();
  });
}

const strips = spawnSync(node, ['-p', 'Boolean(process.features.typescript)'], { encoding: 'utf8' }).stdout.trim() === 'true';

test('without tsx and without type stripping: a clear error', async (t) => {
  if (strips) return t.skip(unsuited.noTypeScript);
  const dir = write(t, 'export default (request: unknown, response: { end(text: string): void }) => response.end("hi");\n');
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'], ready: false });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /ERR_CLUSTER_TYPESCRIPT|server\.ts is TypeScript.*npm install tsx/);
});

test('syntax that has to be compiled: the place, and the way out', async (t) => {
  if (!strips) return t.skip(unsuited.typeScript);
  const dir = write(t, 'const first = 1;\n@decorated()\nexport class Second { first = first }\n');
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'], ready: false });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /server\.ts:2\n@decorated\(\)/);
  assert.match(cluster.output, /install tsx in the app and set `import: \["tsx"\]`/);
});

/** A folder without node_modules above it. */
function write(t: TestContext, source: string): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-ts-'));
  t.after(() => rmSync(dir, { recursive: true }));
  writeFileSync(path.join(dir, 'server.ts'), source);
  writeFileSync(path.join(dir, 'package.json'), '{ "type": "module" }');
  return dir;
}
