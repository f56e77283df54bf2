import assert from 'node:assert/strict';
import test from 'node:test';
import { directory, load, refusal, withConfig, type Files } from '../helpers/config-dir.js';

/** What cosmiconfig would take for settings of its own, read and run where the command is typed. */
const others: Record<string, Files> = {
  'a malformed package.json': { 'package.json': '{ "name" }' },
  'a package.json with a byte order mark': { 'package.json': '\uFEFF{}' },
  'settings for cosmiconfig': { 'package.json': { cosmiconfig: { loaders: {} } } },
  'the configuration of an app': { '.config/config.js': 'globalThis.ran = true; throw new Error("ran");', '.config/config.yml': 'a: [' },
};

test('what lies in the working directory is neither read nor run', async (t) => {
  const before = process.cwd();
  t.after(() => process.chdir(before));
  const cwd = directory(t, Object.assign({}, ...Object.values(others)) as Files);
  process.chdir(cwd);
  assert.equal((await load(withConfig(t, { port: 5 }))).config.port, 5);
  assert.equal('ran' in globalThis, false);
  assert.equal(process.cwd(), cwd);
});

for (const [name, files] of Object.entries(others)) {
  test(`${name} in the app's directory, where the command is typed`, async (t) => {
    const { run } = await import('../helpers/cluster.js');
    const dir = withConfig(t, { workers: 3 }, files);
    const { code, stdout, stderr } = await run(['config'], { cwd: dir });
    if (name === 'a malformed package.json') {
      assert.deepEqual([code, stderr], [2, 'package.json:1:10: not valid JSON: expected ":", found "}"\n']);
    }
    else assert.deepEqual([code, stderr, /^workers +3 +file/m.test(stdout)], [0, '', true]);
  });
}

test('a byte order mark before a package.json that holds the configuration', async (t) => {
  assert.match(await refusal(load(directory(t, { 'app.js': '', 'package.json': '\uFEFF{"cluster": {"workers": 0}}' }))),
    /^package\.json#cluster: workers: expected/);
});
