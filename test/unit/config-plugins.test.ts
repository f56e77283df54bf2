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
    metrics: false, 'shared-clients': true, systemd: false, container: true, egg: false, hosts: false, standby: false,
    'adaptive-workers': false, overload: false, pm2: false,
    [mine]: true, 'some-package': { a: [1] },
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
  assert.equal(await says('[{ apply() {} }]'), 'cluster.config.mjs: plugins[0]: expected a plugin with a name, found one without');
  assert.equal(await says('[class { constructor() { throw new Error("no") } apply() {} }]'),
    'cluster.config.mjs: plugins[0]: a class cannot be made: no');
});

test('plugins that collide: a name twice in a list, that of a built-in one, a key that none has; both are told', async (t) => {
  const says = (plugins: string) =>
    refusal(load(directory(t, { 'app.js': '', 'cluster.config.mjs': `${source} export default { plugins: ${plugins} }` })));
  const at = 'cluster.config.mjs: plugins';
  assert.equal(await says('[plain, [{ ...plain }, { a: 1 }]]'),
    `${at}[1]: a second plugin with the name "plain", which ${at}[0] has: one of them needs another`);
  for (const plugins of ['[{ name: "metrics", apply() {} }]', '[class { name = "metrics"; apply() {} }]']) {
    assert.equal(await says(plugins), `${at}[0]: a plugin of one's own cannot have the name of the built-in plugin "metrics"`);
  }
  assert.match(await says('{ metrics: plain }'), /plugins\.metrics: a plugin of one's own cannot have the name of the built-in plugin/);
  assert.equal(await says('{ mine: { ...plain, engine: {} } }'),
    `${at}.mine: plugin "plain" has an unknown key "engine", did you mean "engines"?`);
  assert.equal(await says('[{ ...plain, colour: 1 }]'),
    `${at}[0]: plugin "plain" has an unknown key "colour"; known are name, schema, jsonSchema, engines, needs, before, after, commands, `
    + 'apply');
  assert.equal(await says('[{ name: 42, apply() {} }]'), `${at}[0]: expected a text as the plugin's name, found 42`);
});

test('a plugin that is switched off and is none: said, unless something gives it elsewhere', async (t) => {
  const says = (values: object) => refusal(load(withConfig(t, values).toString()));
  assert.equal(await says({ plugins: { 'graceful-exot': false } }), '.clusterrc: plugins.graceful-exot: '
    + 'no plugin has this name, so there is none to switch off; did you mean "graceful-exit"?');
  assert.match(await says({ profiles: { production: { plugins: { nothing: false } } } }),
    /profiles\.production\.plugins\.nothing: no plugin/);
  const fine = [
    { plugins: { systemd: false, './gone.js': true }, profiles: { production: { plugins: { './gone.js': false } } } },
    { plugins: { 'dev-only': false }, profiles: { development: { plugins: { 'dev-only': { a: 1 } } } } },
  ];
  for (const values of fine) await load(withConfig(t, values).toString());
  const off = directory(t, { 'app.js': '', 'mine.js': '', '.clusterrc.json': '{ "plugins": { "./mine.js": false } }' });
  await load(off);
  const object = `${source} export default { plugins: [plain], profiles: { production: { plugins: { plain: false } } } }`;
  assert.equal((await load(directory(t, { 'app.js': '', 'cluster.config.mjs': object }))).config.plugins.plain, false);
});
