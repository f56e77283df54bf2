import assert from 'node:assert/strict';
import { symlinkSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { root, run, startCluster } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';

const APP = {
  'package.json': '{ "name": "preset-app" }',
  'app.js': 'module.exports = (request, response) => response.end("app");',
  'preset.mjs': `import metrics from 'hatchery/plugins/metrics';
    export default { name: 'preset', apply: (master, options) => master.applyPlugin(metrics, options) };`,
  'wrapped.cjs': `const metrics = require('hatchery/plugins/metrics').default;
    module.exports = { ...metrics, name: 'wrapped', apply: (master, options) => {
      master.logger.info('wrapped metrics'); return metrics.apply(master, options);
    } };`,
};

for (const file of ['preset.mjs', 'wrapped.cjs']) {
  test(`a built-in plugin stands in one of one's own: ${file}`, async (t) => {
    const { dir } = ownApp(t, { ...APP, '.clusterrc': `{ "plugins": { "./${file}": { "port": 0 } } }` });
    mkdirSync(path.join(dir, 'node_modules'));
    symlinkSync(root, path.join(dir, 'node_modules/hatchery'));
    const cluster = await startCluster(t, dir, { flags: ['--workers', '1'] });
    const [, url = ''] = /metrics on (\S+)/.exec(cluster.output) ?? [];
    assert.match(await (await fetch(url)).text(), /^# TYPE /m);
  });
}

test('its options are checked as its own are', async (t) => {
  const { dir } = ownApp(t, { ...APP, '.clusterrc': '{ "plugins": { "./preset.mjs": { "prot": 1 } } }' });
  mkdirSync(path.join(dir, 'node_modules'));
  symlinkSync(root, path.join(dir, 'node_modules/hatchery'));
  const { code, stderr } = await run(['config', dir]);
  assert.equal(code, 2);
  assert.match(stderr, /applyPlugin: metrics: prot: unknown option, did you mean "port"\?/);
});
