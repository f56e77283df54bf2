import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import ts from 'typescript';

const root = path.resolve(import.meta.dirname, '../..');

/** Low to high: a folder imports itself and lower rows, types too. `lib` itself: the package's entries. */
const LAYERS = [
  ['lib/kit'], ['lib/node'], ['lib/ipc'], ['lib/config'], ['lib/api'], ['lib/messenger'],
  ['lib/master', 'lib/child', 'lib/control'], ['lib'], ['plugins'], ['bin'],
];
const MOST_FILES = 150;
const MOST_LINES = 290;
const FEWEST_LINES = 15;

/** Files that are shorter, and why they are files. */
const SHORT: Readonly<Record<string, string>> = {
  'lib/child/fetch-bridge.ts': 'a bundle of its own, which few children load',
};

const sources = ['lib', 'plugins', 'bin'].flatMap((folder) => readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts')).map((name) => path.posix.join(folder, name.replaceAll(path.sep, '/')))).sort();
const lib = sources.filter((file) => file.startsWith('lib/'));
const text = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const lines = (file: string): number => text(file).trimEnd().split('\n').length;

/** Every module of ours that a file names: imports, exports from, import(), import types. */
function importsOf(file: string): string[] {
  const found: string[] = [];
  const add = (node: ts.Node | undefined) => {
    if (!node || !ts.isStringLiteralLike(node) || !node.text.startsWith('.')) return;
    const name = path.posix.join(path.posix.dirname(file), node.text).replace(/\.js$/, '.ts');
    if (sources.includes(name)) found.push(name);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0]);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text(file), ts.ScriptTarget.Latest));
  return [...new Set(found)];
}
const graph = new Map(sources.map((file) => [file, importsOf(file)]));

/** Files that reach each other: the strongly connected parts of the graph that have more than one (Tarjan). */
function circles(): string[][] {
  const found: string[][] = [];
  const numbers = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const visit = (file: string): void => {
    numbers.set(file, numbers.size);
    low.set(file, numbers.get(file)!);
    stack.push(file);
    for (const next of graph.get(file) ?? []) {
      if (!numbers.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file)!, low.get(next)!));
    }
    if (low.get(file) !== numbers.get(file)) return;
    const part = stack.splice(stack.indexOf(file));
    if (part.length > 1) found.push(part.sort());
  };
  for (const file of sources) if (!numbers.has(file)) visit(file);
  return found;
}

const folderOf = (file: string): string =>
  LAYERS.flat().filter((folder) => file.startsWith(`${folder}/`)).sort((a, b) => b.length - a.length)[0]!;
const rowOf = (file: string): number => LAYERS.findIndex((row) => row.includes(folderOf(file)));

test('no files import each other in a circle, types included', () => {
  assert.ok([...graph.values()].flat().length > sources.length, 'the imports are found at all');
  assert.deepEqual(circles(), []);
});

test('a folder imports itself and what stands below it', () => {
  const wrong = [...graph].flatMap(([from, all]) => all
    .filter((to) => folderOf(from) !== folderOf(to) && rowOf(to) >= rowOf(from)).map((to) => `${from} -> ${to}`));
  assert.deepEqual(wrong, []);
});

test('every file of lib stands in a layer', () => {
  const folders = new Set(lib.filter((file) => file.split('/').length > 2).map((file) => file.split('/').slice(0, 2).join('/')));
  assert.deepEqual([...folders].filter((folder) => !LAYERS.flat().includes(folder)), []);
});

test(`lib has at most ${MOST_FILES} files`, (t) => {
  t.diagnostic(`lib: ${lib.length} files, ${lib.reduce((sum, file) => sum + lines(file), 0)} lines`);
  assert.ok(lib.length <= MOST_FILES, `${lib.length} files`);
});

test(`no file of lib has more than ${MOST_LINES} lines`, () => {
  assert.deepEqual(lib.filter((file) => lines(file) > MOST_LINES).map((file) => `${file}: ${lines(file)}`), []);
});

test(`no file of lib has fewer than ${FEWEST_LINES} lines without a reason`, () => {
  const short = lib.filter((file) => lines(file) < FEWEST_LINES);
  assert.deepEqual(short.filter((file) => !(file in SHORT)).map((file) => `${file}: ${lines(file)}`), []);
  assert.deepEqual(Object.keys(SHORT).filter((file) => !short.includes(file)), [], 'the list is up to date');
});

test('no file is called by what says nothing', () => {
  assert.deepEqual(sources.filter((file) => /(?:^|\/)(?:utils?|helpers?|managers?|base|common)\.ts$/.test(file)), []);
  assert.deepEqual(sources.filter((file) => !/^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:-[a-z0-9]+)*\.ts$/.test(file)), [], 'kebab-case');
});
