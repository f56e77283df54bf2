import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { node, root, type Scope } from '../helpers/cluster.js';
import { Sandbox } from './sandbox.js';

/** An app directory in which the package is installed, and what a plugin in TypeScript needs. */
function project(t: Scope): { sandbox: Sandbox; at: string } {
  const sandbox = new Sandbox(t);
  const at = sandbox.app('project', { 'package.json': '{ "name": "project" }' });
  mkdirSync(path.join(at, 'node_modules'));
  symlinkSync(root, path.join(at, 'node_modules/hatchery'));
  symlinkSync(path.join(root, 'node_modules/tsx'), path.join(at, 'node_modules/tsx'));
  return { sandbox, at };
}

for (const [flag, kind] of [['--no-ts', 'JavaScript'], ['--ts', 'TypeScript']] as const) {
  test(`plugin new writes one in ${kind} whose tests pass at once`, async (t) => {
    const { sandbox, at } = project(t);
    const { code, stdout, stderr } = await sandbox.run(['plugin', 'new', '@acme/served-by', flag, '--json'], { cwd: at });
    assert.equal(code, 0, stderr);
    const { name, dir, files } = JSON.parse(stdout) as { name: string; dir: string; files: string[] };
    assert.deepEqual([name, dir], ['@acme/served-by', path.join(at, 'served-by')]);
    assert.ok(files.every((file) => existsSync(path.join(dir, file))));
    const { scripts } = JSON.parse(readFileSync(path.join(dir, 'package.json'), 'utf8')) as { scripts: { test: string } };
    const [own = ''] = files.filter((file) => file.startsWith('test/'));
    const words = scripts.test.split(' ').slice(1).map((word) => word.includes('*') ? own : word);
    const told = await promisify(execFile)(node, words, { cwd: dir, env: { ...sandbox.env, NODE_TEST_CONTEXT: undefined } });
    assert.match(told.stdout, /^# pass 4$/m);
  });
}

test('plugin new takes a path, and writes over nothing', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'package.json': '{}' });
  assert.equal((await sandbox.run(['plugin', 'new', './plugins/one'], { cwd: dir })).code, 0);
  assert.match(readFileSync(path.join(dir, 'plugins/one/index.js'), 'utf8'), /name: 'one'/);
  writeFileSync(path.join(dir, 'plugins/one/README.md'), 'mine');
  const again = await sandbox.run(['plugin', 'new', './plugins/one'], { cwd: dir });
  assert.equal(again.code, 2);
  assert.match(again.stderr, /^plugin new: .*package\.json is there already.*\n$/);
  assert.equal(readFileSync(path.join(dir, 'plugins/one/README.md'), 'utf8'), 'mine');
  mkdirSync(path.join(dir, 'two'));
  writeFileSync(path.join(dir, 'two/worker.js'), 'mine');
  assert.equal((await sandbox.run(['plugin', 'new', 'two'], { cwd: dir })).code, 2);
  assert.deepEqual(readdirSync(path.join(dir, 'two')), ['worker.js']);
});

const WRONG: readonly [words: string[], says: RegExp][] = [
  [[], /^plugin: expected "new", found nothing;/],
  [['nwe', 'x'], /^plugin: expected "new", found "nwe", did you mean "new"\?/],
  [['new'], /^plugin new: which name\?/],
  [['new', 'My Limit'], /^plugin new: expected the name of a package, found "My Limit", did you mean "my-limit"\?/],
  [['new', 'metrics'], /^plugin new: "metrics" is a plugin that comes with Hatchery; choose another name/],
  [['new', './node_modules'], /^plugin new: "node_modules" is no name of a package; choose another name/],
  [['new', ''], /^plugin new: expected the name of a package, found ""/],
  [['new', 'one', 'two'], /^unexpected "two"/],
  [['new', 'one', '--tss'], /^--tss: unknown flag, did you mean "--ts"\?/],
];
for (const [words, says] of WRONG) {
  test(`plugin ${words.join(' ')}: one line and 2`, async (t) => {
    const sandbox = new Sandbox(t);
    const { code, stderr, stdout } = await sandbox.run(['plugin', ...words]);
    assert.equal(code, 2);
    assert.match(stderr, says);
    assert.equal(stderr.trimEnd().split('\n').length, 1);
    assert.equal(stdout, '');
    assert.deepEqual(readdirSync(sandbox.dir), ['run']);
  });
}
