import assert from 'node:assert/strict';
import test from 'node:test';
import { flatten } from '../../lib/config/provenance.js';
import { load, withConfig } from '../helpers/config-dir.js';

test('every value has its path and its source, in the order of the schema', async (t) => {
  const values = flatten(await load(withConfig(t, { env: { A: 'x' }, plugins: { metrics: { port: 1 } } }), {
    env: { PORT: '80' }, flags: { title: 'T' },
  }));
  const byPath = Object.fromEntries(values.map((value) => [value.path, value]));
  assert.deepEqual(byPath.title, { path: 'title', value: 'T', from: 'flag', where: '--title' });
  assert.deepEqual(byPath.port, { path: 'port', value: 80, from: 'env', where: 'PORT' });
  assert.deepEqual(byPath['env.A'], { path: 'env.A', value: 'x', from: 'file', where: '.clusterrc' });
  assert.deepEqual(byPath['plugins.metrics.port'], { path: 'plugins.metrics.port', value: 1, from: 'file', where: '.clusterrc' });
  assert.deepEqual(byPath.execArgv, { path: 'execArgv', value: [], from: 'default' });
  assert.deepEqual(values.slice(0, 3).map(({ path }) => path), ['title', 'workers', 'standby']);
});
