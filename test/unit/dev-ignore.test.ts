import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ignoring } from '../../plugins/dev-reload/ignore.js';

const dir = '/home/me/app';
const cases: [file: string, ignored: boolean, patterns?: string[]][] = [
  ['app.js', false], ['views/index.html', false], ['routes/logs.js', false], ['run.js', false],
  ['node_modules', true], ['node_modules/a/index.js', true], ['lib/node_modules/b.js', true],
  ['logs/app.txt', true], ['run/app.json', true], ['.git/HEAD', true], ['.cache', true], ['src/.hidden/a.js', true],
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
    assert.equal(ignoring(dir, patterns, new Set())(`${dir}/${file}`), ignored);
  });
}

test('an app that lies in a hidden directory, or in node_modules, is watched all the same', () => {
  assert.equal(ignoring('/home/me/.work/node_modules/app', [], new Set())('/home/me/.work/node_modules/app/app.js'), false);
});

test('a file of the configuration counts wherever it is', () => {
  assert.equal(ignoring(dir, [], new Set(['/etc/.hidden/base.json']))('/etc/.hidden/base.json'), false);
});
