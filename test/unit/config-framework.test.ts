import assert from 'node:assert/strict';
import test from 'node:test';
import { load, refusal, withConfig, type Files } from '../helpers/config-dir.js';

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
