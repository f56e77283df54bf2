import assert from 'node:assert/strict';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { root } from '../helpers/cluster.js';
import { startDev } from '../helpers/dev.js';

test('a TypeScript app with no setup: reloads, and errors at their place in the source', { timeout: 40_000 }, async (t) => {
  const dev = await startDev(t, 'dev-typescript', {
    edit: (dir) => {
      mkdirSync(path.join(dir, 'node_modules'));
      symlinkSync(path.join(root, 'node_modules/tsx'), path.join(dir, 'node_modules/tsx'));
    },
  });
  await dev.answer(/hello world/);
  dev.write('greet.ts', 'export function greet(name: string): string {\n  return `good day ${name}`;\n}\n');
  await dev.answer(/good day world/);
  const from = dev.mark();
  dev.write('greet.ts', `interface Unused {
  a: string;
  b: string;
}

export function greet(name: string): string {
  return check(name as string);
}

function check(name: string): string {
  if (name) throw new TypeError('not so: ' + name);
  return name;
}

greet('now');
`);
  await dev.cluster.waitFor(/The app does not start: TypeError: not so: now/, 8_000, from);
  await dev.cluster.waitFor(/at greet\.ts:11:19\n[^]*> 11 \| {3}if \(name\) throw new TypeError/, 5_000, from);
  assert.ok(existsSync(dev.dir));
  dev.write('greet.ts', 'export const greet = (name: string) => `again ${name}`;\n');
  await dev.answer(/again world/);
});
