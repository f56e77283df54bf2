import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { exportsOf, membersOf } from '../helpers/declared.js';
import { commands, docsTables, namesIn, PAGES, rowsUnder, shownTable } from '../helpers/docs-tables.js';
import { anchors, links, pages, paths } from '../helpers/markdown.js';
import { ERRORS } from '../../lib/kit/errors.js';

const tables = await docsTables();

for (const [page, names] of Object.entries(PAGES)) {
  for (const name of names) {
    test(`${page} shows the table ${name} as the code has it`, () => {
      assert.equal(shownTable(page, name), tables[name], 'write it with: npx tsx test/helpers/write-docs-tables.ts');
    });
  }
}

test('every generated table has its page', () => {
  assert.deepEqual(Object.values(PAGES).flat().sort(), Object.keys(tables).sort());
});

test('every test that the README names is there', () => {
  const [, text = ''] = readFileSync('README.md', 'utf8').split('\n## What can be served\n');
  const [served = '', , happens = ''] = text.split(/\n(## What happens when \.\.\.|## Plugins)/);
  const named = [...`${served}${happens}`.matchAll(/`([a-z]+(?:-[a-z]+)+)`/g)].map((match) => match[1] as string);
  assert.ok(named.length > 30, `${named.length} tests`);
  for (const name of named) assert.ok(existsSync(`test/integration/${name}.test.ts`), name);
});

test('every link within the repository leads to a page, and to a heading of it', () => {
  const lost = pages().flatMap((page) => links(page).flatMap((link) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? page : path.join(path.dirname(page), file);
    if (!existsSync(target)) return [`${page}: ${link}`];
    return anchor === undefined || anchors(target).has(anchor) ? [] : [`${page}: ${link}`];
  }));
  assert.deepEqual(lost, []);
});

test('every page of docs is linked from another page', () => {
  const linked = new Set(pages().flatMap((page) => links(page).map((link) => path.join(path.dirname(page), link.split('#')[0] as string))));
  assert.deepEqual(pages().filter((page) => page.startsWith('docs/') && !linked.has(page)), []);
});

test('docs/cli.md has every command of the bin, and no other', () => {
  const [, section = ''] = readFileSync('docs/cli.md', 'utf8').split('\n## Commands\n');
  const rows = [...(section.split('\n## ')[0] ?? '').matchAll(/^\| `([a-z-]+)/gm)].map((match) => match[1]);
  assert.deepEqual(rows.sort(), [...commands.keys()].sort());
});

test('every command that a page shows is one of the bin', () => {
  for (const page of pages()) {
    const named = readFileSync(page, 'utf8').matchAll(/(?:`|\$ (?:npx )?|^)framework ([a-z][a-z-]*)/gm);
    for (const [, name = ''] of named) assert.ok(commands.has(name), `${page}: framework ${name}`);
  }
});

test('every error code that a page names is one of ERRORS', () => {
  for (const page of pages()) {
    const named = readFileSync(page, 'utf8').matchAll(/\bERR_CLUSTER_[A-Z_]*[A-Z]\b/g);
    for (const [code] of named) assert.ok(Object.hasOwn(ERRORS, code), `${page}: ${code}`);
  }
});

test('every path that docs/ and CONTRIBUTING.md name is there', () => {
  const missing = pages().filter((page) => page.startsWith('docs/') || page === 'CONTRIBUTING.md')
    .flatMap((page) => paths(page).filter((file) => !existsSync(file)).map((file) => `${page}: ${file}`));
  assert.deepEqual(missing, []);
});

test('docs/architecture.md describes every folder of lib', () => {
  const text = readFileSync('docs/architecture.md', 'utf8');
  const inside = readdirSync('lib', { recursive: true, encoding: 'utf8' }).map((name) => `lib/${name}`);
  const folders = inside.filter((name) => statSync(name).isDirectory());
  assert.deepEqual(folders.filter((folder) => !text.includes(`\`${folder}/\``)), []);
});

/** What a table has in its first column, by the head of that column, and what it is to have. */
const TABLES: [page: string, head: string, names: () => string[]][] = [
  ['docs/plugins.md', 'on `master`', () => [
    ...membersOf('lib/api/plugin.ts', 'Master'), ...membersOf('lib/api/control.ts', 'Controllable').filter((name) => name !== 'onProgress'),
  ]],
  ['docs/plugins.md', 'on `runtime`', () => membersOf('lib/api/runtime.ts', 'Runtime')],
  ['docs/api.md', 'on `bootstrap`', () => membersOf('lib/master/bootstrap.ts', 'Bootstrap')],
  ['docs/api.md', 'on `context`', () => membersOf('lib/api/runtime.ts', 'Context')],
  ['docs/api.md', 'on `messenger`', () => membersOf('lib/api/messenger.ts', 'Messenger')],
  ['docs/api.md', 'on a `TestCluster`', () => membersOf('bin/testing/cluster.ts', 'TestCluster')],
  ['docs/api.md', 'on a `TestRuntime`', () => membersOf('bin/testing/runtime.ts', 'TestRuntime')],
  ['docs/cli.md', 'field', () => membersOf('lib/api/control.ts', 'Status')],
];

for (const [page, head, names] of TABLES) {
  test(`${page}: the table "${head}" has every name that the code has, and no other`, () => {
    assert.deepEqual(namesIn(rowsUnder(page, head).join('\n')).sort(), [...new Set(names())].sort());
  });
}

for (const [file, least] of [['lib/index.ts', 10], ['lib/runtime.ts', 10], ['bin/index.ts', 10], ['bin/testing/index.ts', 5]] as const) {
  test(`every export of ${file} is named in docs/api.md or docs/plugins.md`, () => {
    const named = new Set(['docs/api.md', 'docs/plugins.md'].flatMap((page) => namesIn(readFileSync(page, 'utf8'))));
    const names = exportsOf(file);
    assert.ok(names.length > least);
    assert.deepEqual(names.filter((name) => !named.has(name)), []);
  });
}

test('docs/hooks.md names all that is seen of a child, and docs/cli.md all that status tells of one', () => {
  const lost = (page: string, file: string, type: string) => {
    const text = readFileSync(page, 'utf8');
    return membersOf(file, type).filter((name) => !new RegExp(`\\b${name}\\b`).test(text));
  };
  assert.deepEqual(lost('docs/hooks.md', 'lib/api/child.ts', 'ChildView'), []);
  assert.deepEqual(lost('docs/cli.md', 'lib/api/control.ts', 'ChildStatus'), []);
});

test('docs/architecture.md has the layers that the linter holds', () => {
  const [, array = ''] = readFileSync('eslint.config.js', 'utf8').split('\nconst layers = [\n');
  const rows = (array.split('\n];')[0] ?? '').match(/\[[^\]]*\]/g) ?? [];
  const nameOf = (folder: string) => folder === 'lib' ? 'entries' : folder.replace('lib/', '');
  const shown = rows.map((row) => (row.match(/[\w/]+/g) ?? []).map(nameOf).join(' | '));
  assert.ok(shown.length > 5);
  assert.ok(readFileSync('docs/architecture.md', 'utf8').includes(`\n${shown.join(' < ')}\n`), shown.join(' < '));
});
