import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { readmeTables } from '../helpers/readme-tables.js';

const readme = readFileSync('README.md', 'utf8');

for (const [name, table] of Object.entries(await readmeTables())) {
  test(`the README shows the table of ${name} as the code has it`, () => {
    assert.ok(readme.includes(table), 'print it with: npx tsx test/helpers/print-readme-tables.ts');
  });
}

test('every test that the README names is there', () => {
  const [, section = ''] = readme.split('## What happens when ...');
  const named = [...(section.split('\n## ')[0] ?? '').matchAll(/`([a-z]+(?:-[a-z]+)+)`/g)].map((match) => match[1] as string);
  assert.ok(named.length > 20);
  for (const name of named) assert.ok(existsSync(`test/integration/${name}.test.ts`), name);
});
