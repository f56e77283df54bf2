import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { directory, load, refusal, withConfig } from '../helpers/config-dir.js';

test('what is said is laid over the built-in plugins', async (t) => {
  const { config } = await load(withConfig(t, {
    plugins: { 'health-check': { port: 1, maxRss: 2 }, systemd: false, './mine.js': true, 'some-package': { a: [1] } },
    profiles: { production: { plugins: { 'health-check': { port: 9 }, 'graceful-exit': false } } },
  }).toString());
  const [mine = ''] = Object.keys(config.plugins).filter((key) => key.endsWith('mine.js'));
  assert.ok(path.isAbsolute(mine));
  assert.deepEqual(config.plugins, {
    'graceful-exit': false, 'health-check': { port: 9, maxRss: 2 }, 'sticky-session': false, 'dev-reload': false,
    metrics: false, systemd: false, [mine]: true, 'some-package': { a: [1] },
  });
});

test('a flag that switches a plugin on keeps the options of the file', async (t) => {
  const dir = withConfig(t, { plugins: { 'sticky-session': { mode: 'request' } } });
  const on = await load(dir, { flags: { plugins: { 'sticky-session': true } } });
  assert.deepEqual(on.config.plugins['sticky-session'], { mode: 'request' });
  const off = await load(dir, { flags: { plugins: { 'sticky-session': false } } });
  assert.equal(off.config.plugins['sticky-session'], false);
  assert.deepEqual(off.provenance['plugins.sticky-session'], { from: 'flag', where: '--sticky' });
});

const source = `
  class ByClass { name = 'by-class'; apply() {} }
  const plain = { name: 'plain', apply() {} };
`;

test('plugin objects and classes in a map, apart from the plain data', async (t) => {
  const dir = directory(t, {
    'app.js': '', 'cluster.config.mjs': `${source} export default { plugins: { one: plain, two: ByClass, metrics: true } }`,
  });
  const { config, pluginObjects } = await load(dir);
  assert.deepEqual([config.plugins.one, config.plugins.two, config.plugins.metrics], [true, true, true]);
  assert.deepEqual(Object.entries(pluginObjects).map(([key, plugin]) => [key, plugin.name]), [['one', 'plain'], ['two', 'by-class']]);
  assert.doesNotThrow(() => structuredClone(config));
});

test('a list of plugin objects, with options or without', async (t) => {
  const dir = directory(t, { 'app.js': '', 'cluster.config.mjs': `${source} export default { plugins: [plain, [ByClass, { a: 1 }]] }` });
  const { config, pluginObjects } = await load(dir);
  assert.deepEqual([config.plugins.plain, config.plugins['by-class']], [true, { a: 1 }]);
  assert.deepEqual(Object.keys(pluginObjects), ['plain', 'by-class']);
  assert.equal(config.plugins['graceful-exit'], true);
});

test('a library user gives them as well', async (t) => {
  const plugin = { name: 'inline', apply() {} };
  const { config, pluginObjects } = await load(withConfig(t, {}), { inline: { plugins: { inline: plugin } } });
  assert.equal(config.plugins.inline, true);
  assert.equal(pluginObjects.inline, plugin);
});

test('what is no plugin', async (t) => {
  const says = (plugins: string) =>
    refusal(load(directory(t, { 'app.js': '', 'cluster.config.mjs': `export default { plugins: ${plugins} }` })));
  assert.equal(await says('["metrics"]'), 'cluster.config.mjs: plugins[0]: expected a plugin or [plugin, options], found "metrics"');
  assert.equal(await says('{ x: () => 1 }'),
    'cluster.config.mjs: plugins.x: expected true, false, an object of options or a plugin, found a function');
  assert.equal(await says('[{ apply() {} }]'), 'plugins: expected a plugin with a name, found one without');
  assert.equal(await says('[class { constructor() { throw new Error("no") } apply() {} }]'), 'plugins: a class cannot be made: no');
});
