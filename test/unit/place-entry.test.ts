import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { directoryOf } from '../../lib/config/place.js';
import { directory, load, type Files } from '../helpers/config-dir.js';

const named = (name: string) => ({ name });

/** Files, the entry among them, and the directory that is its app's; `git`: where the repository is. */
const cases: [name: string, files: Files, entry: string, dir: string, git?: string][] = [
  ['a build, where its package lies', { 'package.json': named('shop'), 'dist/main.js': '' }, 'dist/main.js', '.'],
  ['an Express generator\'s bin', { 'package.json': named('shop'), 'bin/www': '' }, 'bin/www', '.'],
  ['a package that its build has written', {
    'package.json': named('shop'), '.output/server/package.json': named('nitro-output'), '.output/server/index.mjs': '',
  }, '.output/server/index.mjs', '.'],
  ['a copy of the package with its configuration', {
    'package.json': { ...named('shop'), cluster: {} }, '.next/standalone/package.json': { ...named('shop'), cluster: {} },
    '.next/standalone/server.js': '',
  }, '.next/standalone/server.js', '.'],
  ['a package without a name within', {
    'package.json': named('shop'), 'bin/package.json': { type: 'commonjs' }, 'bin/www': '',
  }, 'bin/www', '.'],
  ['the outermost package', {
    'package.json': named('shop'), 'server/package.json': named('api'), 'server/x/y.js': '',
  }, 'server/x/y.js', '.'],
  ['the repository\'s own package', { 'package.json': named('shop'), 'dist/main.js': '' }, 'dist/main.js', '.', '.'],
  ['a package of a repository', {
    'package.json': named('mono'), 'apps/web/package.json': named('web'), 'apps/web/dist/main.js': '',
  }, 'apps/web/dist/main.js', 'apps/web', '.'],
  ['a package of a workspace without a repository', {
    'package.json': { ...named('mono'), workspaces: ['apps/*'] }, 'apps/web/package.json': named('web'), 'apps/web/dist/main.js': '',
  }, 'apps/web/dist/main.js', 'apps/web'],
  ['nothing above the repository', { 'package.json': named('not-mine'), 'a/package.json': {}, 'a/bin/www': '' }, 'a/bin/www', 'a', 'a'],
  ['the nearest configuration', {
    'package.json': named('shop'), 'services/api/.clusterrc': '{}', 'services/api/bin/www': '', '.clusterrc': '{}',
  }, 'services/api/bin/www', 'services/api'],
  ['a configuration before a package', {
    'package.json': { ...named('mono'), cluster: {} }, 'apps/web/package.json': named('web'), 'apps/web/server.js': '',
  }, 'apps/web/server.js', '.', '.'],
  ['a build without a package', { 'dist/src/main.js': '' }, 'dist/src/main.js', '.'],
  ['no package at all', { 'some/server.js': '' }, 'some/server.js', 'some'],
  ['a place whose name only looks like a build\'s', {
    'build/shop/package.json': named('shop'), 'build/shop/dist/package.json': named('x'), 'build/shop/dist/main.js': '',
  }, 'build/shop/dist/main.js', 'build/shop'],
  ['an installed bin', {
    'package.json': named('shop'), 'node_modules/tool/package.json': named('tool'), 'node_modules/tool/bin/tool': '',
  }, 'node_modules/tool/bin/tool', '.', '.'],
];

for (const [name, files, entry, expected, git] of cases) {
  test(name, (t) => {
    const dir = directory(t, files);
    if (git !== undefined) mkdirSync(path.join(dir, git, '.git'));
    assert.equal(path.relative(dir, directoryOf(path.join(dir, entry)).dir) || '.', expected);
  });
}

test('the path as typed: a link to a bin belongs to where the link lies, one outside of any app to its package', (t) => {
  const dir = directory(t, { 'shop/package.json': named('shop'), 'lib/node_modules/tool/package.json': named('tool'),
    'lib/node_modules/tool/bin/tool': '', 'shop/node_modules/.bin/x': '', 'bin/x': '' });
  const tool = path.join(dir, 'lib/node_modules/tool/bin/tool');
  symlinkSync(tool, path.join(dir, 'shop/node_modules/.bin/tool'));
  symlinkSync(tool, path.join(dir, 'bin/tool'));
  symlinkSync('shop', path.join(dir, 'current'));
  assert.equal(directoryOf(path.join(dir, 'current/node_modules/.bin/tool')).dir, path.join(dir, 'current'));
  assert.equal(directoryOf(path.join(dir, 'bin/tool')).dir, path.join(dir, 'lib/node_modules/tool'));
});

test('neither the home nor a place for everybody is an app\'s, unless the file lies right in it', (t) => {
  const dir = directory(t, { 'package.json': named('stray'), '.clusterrc': '{}', 'x/server.js': '', 'server.js': '' });
  const { HOME } = process.env;
  t.after(() => { process.env.HOME = HOME; });
  const inX = () => path.relative(dir, directoryOf(path.join(dir, 'x/server.js')).dir);
  assert.equal(inX(), '');
  process.env.HOME = dir;
  assert.equal(inX(), 'x');
  process.env.HOME = HOME;
  chmodSync(dir, 0o1777);
  assert.equal(inX(), 'x');
  assert.equal(directoryOf(path.join(dir, 'server.js')).dir, dir);
});

test('configuration, title, agent: the directory\'s; an agent beside the entry comes first; what is not read is named', async (t) => {
  const dir = directory(t, {
    'package.json': named('shop'), '.clusterrc': '{"port": 1234}', 'agent.js': '', 'dist/main.js': '', 'dist/agent.js': '', 'bin/www': '',
    'inner/.clusterrc': '{}', 'inner/app.js': '',
  });
  const main = await load('dist/main.js', { cwd: dir });
  const { config, target } = main;
  assert.deepEqual([config.title, config.port, target.dir, target.entry.agent], ['shop', 1234, dir, `${dir}/dist/agent.js`]);
  assert.equal((await load('bin/www', { cwd: dir })).target.entry.agent, `${dir}/agent.js`);
  assert.deepEqual((await load('inner/app.js', { cwd: dir })).unused, [`${dir}/.clusterrc`]);
});
