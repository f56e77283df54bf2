import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import type { LoadRequest } from '../../lib/config/load.js';
import { instances } from '../../lib/master/plugins/check.js';
import { directory, load, refusal, withConfig, type Files } from '../helpers/config-dir.js';

const framework = (files: Files): Files => Object.fromEntries(
  Object.entries({
    'package.json': { name: 'fw', main: 'index.js' }, 'index.js': 'throw new Error("the master must not load this")', ...files,
  })
    .map(([name, content]) => [`node_modules/fw/${name}`, content]));

test('a framework\'s own configuration gives defaults', async (t) => {
  const ways: Files[] = [
    { 'package.json': { main: 'index.js', cluster: { port: 5, title: 'fw' } } },
    { '.clusterrc': { port: 5, title: 'fw' } },
    { 'cluster.config.mjs': 'export default { port: 5, title: "fw" }' },
  ];
  for (const files of ways) {
    const { config, provenance, target } = await load(withConfig(t, { framework: 'fw', title: 'app' }, framework(files)));
    assert.deepEqual([config.port, config.title], [5, 'app']);
    assert.equal(provenance.port?.from, 'framework');
    assert.match(provenance.port?.where ?? '', /fw/);
    assert.match(target.entry.framework ?? '', /node_modules\/fw\/index\.js$/);
  }
});

test('its profiles, bases and plugins count as well, below the app\'s', async (t) => {
  const { config } = await load(withConfig(t, { framework: 'fw', plugins: { metrics: { port: 2 } } }, framework({
    '.clusterrc': {
      extends: './base.json', profiles: { production: { port: 6 } }, plugins: { './own.js': true, metrics: { port: 1, path: '/m' } },
    },
    'base.json': { host: 'base' },
  })));
  assert.deepEqual([config.port, config.host], [6, 'base']);
  assert.deepEqual(config.plugins.metrics, { port: 2, path: '/m' });
  assert.equal(Object.keys(config.plugins).filter((key) => key.endsWith('/node_modules/fw/own.js')).length, 1);
});

test('a mistake in it names its file', async (t) => {
  assert.match(await refusal(load(withConfig(t, { framework: 'fw' }, framework({ '.clusterrc': { prot: 5 } })))),
    /^node_modules\/fw\/\.clusterrc: prot: unknown key/);
});

test('package.json and a file of it are layers, the file above', async (t) => {
  const { config, provenance, files } = await load(withConfig(t, { framework: 'fw' }, framework({
    'package.json': { name: 'fw', main: 'index.js', cluster: { port: 1, host: 'manifest', profiles: { production: { startTimeout: 5 } } } },
    'cluster.config.mjs': 'export default { port: 2 }',
  })));
  assert.deepEqual([config.port, config.host, config.startTimeout], [2, 'manifest', 5]);
  assert.equal(provenance.host?.where, 'node_modules/fw/package.json#cluster');
  assert.equal(files.length, 3);
});

const PLUGIN = (name: string) => `export default { name: '${name}', apply() {} };`;

/** Two frameworks, each with a plugin as a package and one as a file; `base` is below `acme`. Paths from `deps` of each package. */
const stack = (): Record<string, Files> => ({
  acme: {
    'package.json': { name: 'acme', version: '2.0.0', main: 'index.js', dependencies: { base: '*', 'acme-log': '*' } },
    'index.js': '',
    'cluster.config.mjs': `export default { framework: 'base', port: 2, plugins: {
      'acme-log': { level: 1 }, './plugins/gate.mjs': { open: true } } }`,
    'plugins/gate.mjs': PLUGIN('acme-gate'),
  },
  base: {
    'package.json': { name: 'base', version: '1.0.0', main: 'index.js', exports: './index.js', cluster: {
      port: 1, host: 'base', plugins: { 'base-trace': true, './trail.mjs': { depth: 1, way: 'a' } },
    } },
    'index.js': '',
    'trail.mjs': PLUGIN('trail'),
  },
  'acme-log': { 'package.json': { name: 'acme-log', type: 'module', main: 'index.js' }, 'index.js': PLUGIN('log') },
  'base-trace': { 'package.json': { name: 'base-trace', type: 'module', main: 'index.js' }, 'index.js': PLUGIN('trace') },
});
const NEEDS: Record<string, string[]> = { app: ['acme'], acme: ['base', 'acme-log'], base: ['base-trace'] };

const under = (place: string, files: Files): Files =>
  Object.fromEntries(Object.entries(files).map(([name, content]) => [`${place}/${name}`, content]));

/** As each package manager lays it out; returns the app's directory. */
const layouts: Record<string, (t: TestContext, app: Files) => string> = {
  npm: (t, app) => directory(t, Object.assign({}, app, ...Object.entries(stack())
    .map(([name, files]) => under(`node_modules/${name}`, files))) as Files),
  pnpm(t, app) {
    const store = (name: string) => `node_modules/.pnpm/${name}@1/node_modules`;
    const files = Object.entries(stack()).map(([name, own]) => under(`${store(name)}/${name}`, own));
    const dir = directory(t, Object.assign({}, app, ...files) as Files);
    for (const [name, needs] of Object.entries(NEEDS)) {
      for (const one of needs) {
        symlinkSync(path.join(dir, store(one), one), path.join(dir, name === 'app' ? 'node_modules' : store(name), one));
      }
    }
    return dir;
  },
  'yarn workspaces'(t, app) {
    const files = Object.entries(stack()).map(([name, own]) => under(`packages/${name}`, own));
    const dir = directory(t, Object.assign({ 'node_modules/.yarn': '' }, under('packages/app', app), ...files) as Files);
    for (const name of Object.keys(stack())) symlinkSync(path.join(dir, 'packages', name), path.join(dir, 'node_modules', name));
    return path.join(dir, 'packages/app');
  },
};

for (const [name, lay] of Object.entries(layouts)) {
  const withApp = (t: TestContext, config: object) => lay(t, { 'app.js': '', '.clusterrc': { framework: 'acme', ...config } });

  test(`${name}: a framework extends another, and their plugins are found where they are`, async (t) => {
    const loaded = await load(withApp(t, { workers: 3 }));
    const { config, provenance, frameworks } = loaded;
    assert.deepEqual([config.workers, config.port, config.host], [3, 2, 'base']);
    assert.deepEqual([provenance.port?.from, provenance.host?.from], ['framework', 'framework']);
    assert.match(provenance.port?.where ?? '', /acme.cluster\.config\.mjs$/);
    assert.match(provenance.host?.where ?? '', /base.package\.json#cluster$/);
    assert.deepEqual(frameworks.map((one) => [one.name, one.version]), [['base', '1.0.0'], ['acme', '2.0.0']]);
    const own = (await instances(loaded, (key) => /acme|base/.test(key))).map(({ plugin }) => plugin.name);
    assert.deepEqual(own.sort(), ['acme-gate', 'log', 'trace', 'trail']);
  });

  test(`${name}: the app names them by package, subpath, file or own name, to configure them or to switch them off`, async (t) => {
    const names: [name: string, at: RegExp, before: unknown][] = [
      ['acme-log', /^acme-log$/, { level: 1 }], ['log', /^acme-log$/, { level: 1 }],
      ['acme/plugins/gate', /gate\.mjs$/, { open: true }], ['acme/plugins/gate.mjs', /gate\.mjs$/, { open: true }],
      ['acme-gate', /gate\.mjs$/, { open: true }], ['base/trail', /trail\.mjs$/, { depth: 1, way: 'a' }],
      ['trail', /trail\.mjs$/, { depth: 1, way: 'a' }], ['trace', /^base-trace$/, true],
    ];
    for (const [key, at, before] of names) {
      const valueIn = async (value: unknown) => {
        const loaded = await load(withApp(t, { plugins: { [key]: value } }));
        const found = Object.entries(loaded.config.plugins).filter(([one]) => at.test(one));
        assert.equal(found.length, 1, `${key}: ${Object.keys(loaded.config.plugins).join()}`);
        return [found[0]?.[1], (await instances(loaded, (one) => at.test(one))).length];
      };
      assert.deepEqual(await valueIn(false), [false, 0], key);
      assert.deepEqual(await valueIn({ depth: 2 }), [{ ...before as object, depth: 2 }, 1], key);
      assert.deepEqual(await valueIn(true), [before, 1], key);
    }
    assert.equal(await refusal(load(withApp(t, { plugins: { 'acme-gaet': false } }))),
      '.clusterrc: plugins.acme-gaet: no plugin has this name, so there is none to switch off; did you mean "acme-gate"?');
  });
}

test('frameworks that extend one another in a circle, or one that is not there', async (t) => {
  const dir = (other: Files) => withConfig(t, { framework: 'fw' }, { ...framework({ '.clusterrc': { framework: 'gw' } }), ...other });
  assert.equal(await refusal(load(dir({ 'node_modules/gw/package.json': { name: 'gw', main: 'i.js', cluster: { framework: 'fw' } },
    'node_modules/gw/i.js': '' }))), 'node_modules/gw/package.json#cluster: framework: goes round in a circle: fw -> gw -> fw');
  assert.match(await refusal(load(dir({}))),
    /^node_modules\/fw\/\.clusterrc: framework: package "gw" cannot be found from .*node_modules\/fw: is it installed\?$/);
});

test('one that a command line brings: the app\'s of this name first, then the bin\'s, and an app may name another', async (t) => {
  const bin = directory(t, {
    'package.json': { name: 'fw', main: 'i.js', cluster: { port: 3 } }, 'i.js': '', 'bin/fw.js': '',
  });
  const request: LoadRequest = { framework: { name: 'fw', from: path.join(bin, 'bin/fw.js') } };
  const own = await load(withConfig(t, {}, framework({ '.clusterrc': { port: 5 } })), request);
  assert.equal(own.config.port, 5);
  assert.deepEqual(own.provenance.framework, { from: 'framework', where: 'fw' });
  const other = await load(withConfig(t, {}), request);
  assert.deepEqual([other.config.port, other.target.entry.framework], [3, path.join(bin, 'i.js')]);
  const named = withConfig(t, { framework: './mine.js' }, { 'mine.js': '' });
  assert.equal((await load(named, request)).target.entry.framework, path.join(named, 'mine.js'));
  assert.match(await refusal(load(withConfig(t, {}), { framework: { name: 'gone', from: bin } }), 'ERR_CLUSTER_APP_NOT_FOUND'),
    /gone/);
});
