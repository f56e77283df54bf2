import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import test from 'node:test';
import { directory, load, refusal } from '../helpers/config-dir.js';

const framework = (name: string, more: object = {}) => ({
  [`node_modules/${name}/package.json`]: { name, main: 'index.js', ...more },
  [`node_modules/${name}/index.js`]: '',
});

test('package.json makes an Egg app of it: the key, the dependency, a framework of its own', async (t) => {
  for (const [manifest, name, where] of [
    [{ egg: {} }, 'egg', 'package.json: egg'],
    [{ dependencies: { egg: '^3.0.0' } }, 'egg', 'package.json: dependencies.egg'],
    [{ egg: { framework: 'yadan' } }, 'yadan', 'package.json: egg.framework'],
  ] as const) {
    const dir = directory(t, { 'package.json': manifest, 'app.js': '', 'agent.js': '', ...framework(name) });
    const { config, provenance, target } = await load(dir);
    assert.equal(config.framework, name);
    assert.deepEqual(provenance.framework, { from: 'file', where });
    assert.equal(target.entry.framework, realpathSync(`${dir}/node_modules/${name}/index.js`));
    assert.equal(config.plugins.egg, true);
    assert.equal(config.startTimeout, 300_000);
    assert.equal(target.entry.app, undefined);
  }
});

test('what is said otherwise holds: an entry file, an app of its own, the plugin off, other options', async (t) => {
  const files = { 'package.json': { egg: {} }, 'app.js': '', 'server.js': '', ...framework('egg') };
  const dir = directory(t, files);
  assert.equal((await load(dir, { target: `${dir}/app.js` })).config.plugins.egg, false);
  assert.equal((await load(dir, { inline: { app: 'server.js' } })).config.framework, undefined);
  assert.equal((await load(dir, { inline: { plugins: { egg: false } } })).config.framework, undefined);
  const { config } = await load(dir, { inline: { startTimeout: 1_000, plugins: { egg: { debugPort: 7002 } } } });
  assert.deepEqual([config.startTimeout, config.plugins.egg, config.framework], [1_000, { debugPort: 7002 }, 'egg']);
  const own = directory(t, { 'package.json': { main: 'server.js', dependencies: { egg: '3' } }, 'server.js': '', ...framework('egg') });
  assert.equal((await load(own)).config.framework, undefined);
});

test('a framework that a key names is Egg\'s where it depends on it; another one has nothing of it', async (t) => {
  const dir = directory(t, {
    'package.json': {}, ...framework('acme', { dependencies: { egg: '3' } }), ...framework('other'), ...framework('dual'),
    'node_modules/dual/package.json': { name: 'egg', main: 'dist/index.js' },
    'node_modules/dual/dist/package.json': { type: 'commonjs' },
    'node_modules/dual/dist/index.js': '',
  });
  assert.equal((await load(dir, { inline: { framework: 'acme' } })).config.plugins.egg, true);
  assert.equal((await load(dir, { inline: { framework: 'other' } })).config.plugins.egg, false);
  assert.equal((await load(dir, { inline: { framework: 'dual' } })).config.plugins.egg, true);
});

test('Egg is not installed: one line says who asks for it', async (t) => {
  const dir = directory(t, { 'package.json': { egg: {} }, 'app.js': '' });
  assert.match(await refusal(load(dir), 'ERR_CLUSTER_APP_NOT_FOUND'),
    /^package\.json: egg: framework: package "egg" cannot be found from .*: is it installed\?$/);
});
