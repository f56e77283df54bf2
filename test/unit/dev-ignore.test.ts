import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ignoring } from '../../plugins/dev-reload/ignore.js';

const dir = '/home/me/app';
const rules = { dir, roots: [dir], ignore: [] as string[], kept: new Set<string>() };
const cases: [file: string, ignored: boolean, patterns?: string[]][] = [
  ['app.js', false], ['views/index.html', false], ['routes/logs.js', false], ['run.js', false],
  ['node_modules', true], ['node_modules/a/index.js', true], ['lib/node_modules/b.js', true],
  ['logs/app.txt', true], ['routes/logs/index.js', false], ['src/run/a.js', false], ['lib/coverage', false], ['coverage/index.html', true],
  ['run/app.json', true], ['.git/HEAD', true], ['.cache', true], ['src/.hidden/a.js', true],
  ['.clusterrc', false], ['.clusterrc.yaml', false], ['.env', false], ['.env.local', false],
  ['app.js~', true], ['.app.js.swp', true], ['debug.log', true], ['data.sqlite', true], ['data.db-wal', true],
  ['data', true, ['data']], ['src/data/x.json', true, ['data']], ['database.js', false, ['data']],
  ['public/a.js', true, ['public/']], ['src/public.js', false, ['public']],
  ['src/a.gen.ts', true, ['*.gen.ts']], ['src/deep/a.css', true, ['src/**/*.css']], ['src/a.css', true, ['src/**/*.css']],
  ['lib/a.css', false, ['src/**/*.css']],
  ['src/one/a.js', true, ['src/one']], ['lib/src/one/a.js', false, ['src/one']], ['a+b.js', true, ['a+b.js']],
];

for (const [file, ignored, patterns = []] of cases) {
  test(`${file} is ${ignored ? 'ignored' : 'watched'}${patterns.length ? ` with ${patterns.join(', ')}` : ''}`, () => {
    assert.equal(ignoring({ ...rules, ignore: patterns })(`${dir}/${file}`), ignored);
  });
}

test('an app that lies in a hidden directory, or in node_modules, is watched all the same', () => {
  const hidden = '/home/me/.work/node_modules/app';
  assert.equal(ignoring({ ...rules, dir: hidden, roots: [hidden] })(`${hidden}/app.js`), false);
});

test('a file of the configuration counts wherever it is', () => {
  assert.equal(ignoring({ ...rules, kept: new Set(['/etc/.hidden/base.json']) })('/etc/.hidden/base.json'), false);
});

const endings: [file: string, ignored: boolean][] = [
  ['app.ts', false], ['a.cjs', false], ['b.jsx', false], ['locales/de.json', false], ['openapi.yaml', false], ['.env', false],
  ['.env.test', false], ['views/index.EJS', false], ['schema.gql', false], ['001.sql', false], ['logo.png', true], ['upload', true],
  ['clip.mp4', true], ['notes.txt', true], ['dev.out', true], ['data.rdb', true],
];
for (const [file, ignored] of endings) {
  test(`of the app's own directory ${file} is ${ignored ? 'left out' : 'watched'} by its ending`, () => {
    assert.equal(ignoring(rules)(`${dir}/${file}`, true), ignored);
  });
}

test('a directory that is named is watched whole, wherever it is, but for what lies installed in it', () => {
  const roots = [dir, '/home/me/assets', '/home/me/app/node_modules/linked', `${dir}/data`];
  const isIgnored = ignoring({ ...rules, roots });
  assert.equal(isIgnored('/home/me/assets/logo.png', true), false);
  assert.equal(isIgnored(`${dir}/data/rows.bin`, true), false);
  assert.equal(isIgnored('/home/me/app/node_modules/linked/index.js', true), false);
  assert.equal(isIgnored('/home/me/app/node_modules/linked/node_modules/a/index.js', true), true);
  assert.equal(isIgnored('/home/me/app/node_modules/other/index.js', true), true);
  assert.equal(isIgnored('/home/me/other/index.js', true), true);
});
