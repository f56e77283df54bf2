import assert from 'node:assert/strict';
import test from 'node:test';
import { directory, load, refusal, withConfig } from '../helpers/config-dir.js';

test('a malformed package.json in the working directory is named, not the configuration file', async (t) => {
  const cwd = directory(t, { 'package.json': '{ "name" }' });
  const before = process.cwd();
  t.after(() => process.chdir(before));
  process.chdir(cwd);
  assert.match(await refusal(load(withConfig(t, {}))), new RegExp(`^${cwd}/package\\.json: JSONError: `));
});
