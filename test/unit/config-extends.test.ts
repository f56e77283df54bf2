import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { load, refusal, withConfig } from '../helpers/config-dir.js';

test('a chain of files: the nearest wins, each is named', async (t) => {
  const dir = withConfig(t, { extends: './shared/base.json', title: 'own' }, {
    'shared/base.json': { extends: './root', title: 'base', port: 1, plugins: { './plugin.js': true } },
    'shared/root.yaml': 'title: root\nport: 2\nhost: root\n',
  });
  const { config, provenance, files } = await load(dir);
  assert.deepEqual([config.title, config.port, config.host], ['own', 1, 'root']);
  assert.deepEqual(provenance.port, { from: 'extends', where: 'shared/base.json' });
  assert.deepEqual(provenance.host, { from: 'extends', where: 'shared/root.yaml' });
  assert.deepEqual(files, ['shared/root.yaml', 'shared/base.json', '.clusterrc'].map((name) => path.join(dir, name)));
  assert.equal(config.plugins[path.join(dir, 'shared/plugin.js')], true, 'a relative path counts from the file that says it');
});

test('packages: by main, by a configuration file inside, by a file inside, for import alone', async (t) => {
  for (const [wanted, files] of [
    ['conf', { 'conf/package.json': { main: 'x.js' }, 'conf/x.js': 'module.exports = { port: 5 }' }],
    ['@acme/conf', { '@acme/conf/package.json': {}, '@acme/conf/.clusterrc.yml': 'port: 5' }],
    ['conf/prod.json', { 'conf/package.json': {}, 'conf/prod.json': { port: 5 } }],
    ['conf', { 'conf/package.json': { type: 'module', exports: { import: './m.js' } }, 'conf/m.js': 'export default { port: 5 }' }],
    ['conf', { 'conf/package.json': { cluster: { port: 5 } } }],
  ] as const) {
    const modules = Object.fromEntries(Object.entries(files)
      .map(([name, content]) => [`node_modules/${name}`, content as string | object]));
    assert.equal((await load(withConfig(t, { extends: wanted }, modules))).config.port, 5, JSON.stringify(files));
  }
});

test('profiles of the base count, below the own ones', async (t) => {
  const dir = withConfig(t, { extends: './base.json', port: 1, profiles: { production: { host: 'own' } } }, {
    'base.json': { profiles: { production: { port: 2, host: 'base' } } },
  });
  const { config, provenance } = await load(dir);
  assert.deepEqual([config.port, config.host], [2, 'own']);
  assert.deepEqual(provenance.port, { from: 'profile', where: 'base.json: profiles.production' });
});

test('a circle is named', async (t) => {
  const dir = withConfig(t, { extends: './a.json' }, { 'a.json': { extends: './b.json' }, 'b.json': { extends: './a.json' } });
  assert.equal(await refusal(load(dir)), 'b.json: extends: goes round in a circle: .clusterrc -> a.json -> b.json -> a.json');
});

test('a base that is not there', async (t) => {
  const dir = withConfig(t, { extends: './bse.json' });
  assert.equal(await refusal(load(dir)), `.clusterrc: extends: no configuration at ./bse.json (${dir}/bse.json)`);
  assert.equal(await refusal(load(withConfig(t, { extends: 'not-installed' }))).then((text) => text.replace(/from \S+/, 'from DIR')),
    '.clusterrc: extends: cannot find package "not-installed" from DIR is it installed? A file is written "./not-installed"');
});

test('a mistake in the base names the base', async (t) => {
  assert.match(await refusal(load(withConfig(t, { extends: './b.json' }, { 'b.json': { prot: 1 } }))),
    /^b\.json: prot: unknown key, did you mean "port"\?$/);
});

test('a list: the later ones count more, and what several build on lies below them all', async (t) => {
  const dir = withConfig(t, { extends: ['./a.json', './b.json'], title: 'own' }, {
    'a.json': { extends: './root.json', port: 1, host: 'a' },
    'b.json': { extends: './root.json', port: 2 },
    'root.json': { port: 3, host: 'root', startTimeout: 9 },
  });
  const { config, provenance, files } = await load(dir);
  assert.deepEqual([config.title, config.port, config.host, config.startTimeout], ['own', 2, 'a', 9]);
  assert.deepEqual(provenance.port, { from: 'extends', where: 'b.json' });
  assert.deepEqual(files.map((file) => path.basename(file)), ['root.json', 'a.json', 'b.json', '.clusterrc']);
  assert.equal(await refusal(load(withConfig(t, { extends: ['./a.json', 5] }, { 'a.json': {} }))),
    '.clusterrc: extends: expected a file path or a package name, or a list of them, found ["./a.json",5]');
  assert.match(await refusal(load(withConfig(t, { extends: ['./a.json', './c.json'] }, { 'a.json': {} }))),
    /^\.clusterrc: extends: no configuration at \.\/c\.json/);
});
