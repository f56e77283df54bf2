import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test from 'node:test';
import { directory, load } from '../helpers/config-dir.js';

const loaded = (name: string) => Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes(`/node_modules/${name}/`));

test('an app without a configuration file does not pay for reading one', async (t) => {
  await load(directory(t, { 'app.js': '', 'package.json': { name: 'plain' } }));
  assert.equal(loaded('cosmiconfig'), false);
  await load(directory(t, { 'app.js': '', '.clusterrc': 'port: 1' }));
  assert.equal(loaded('cosmiconfig'), true);
});
