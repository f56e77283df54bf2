import assert from 'node:assert/strict';
import { renameSync, symlinkSync } from 'node:fs';
import module from 'node:module';
import path from 'node:path';
import test from 'node:test';
import { directory, load, write } from '../helpers/config-dir.js';
import { unsuited } from '../helpers/skips.js';

const say: Record<string, (port: number) => string> = {
  '.clusterrc': (port) => `port: ${port}`,
  '.clusterrc.json': (port) => JSON.stringify({ port }),
  'cluster.config.cjs': (port) => `module.exports = { port: ${port} }`,
  'cluster.config.mjs': (port) => `export default { port: ${port} }`,
  'cluster.config.js': (port) => `module.exports = { port: ${port} }`,
  'cluster.config.ts': (port) => `const port: number = ${port}; export default { port };`,
  'package.json': (port) => JSON.stringify({ cluster: { port } }),
};

for (const [name, content] of Object.entries(say)) {
  test(`${name} is read anew at each call`, async (t) => {
    const dir = directory(t, { 'app.js': '' });
    for (const port of [1, 2, 3]) {
      write(dir, { [name]: content(port) });
      assert.equal((await load(dir)).config.port, port);
    }
  });
}

test('what a CommonJS config requires is read anew', async (t) => {
  const dir = directory(t, { 'app.js': '', 'cluster.config.cjs': 'module.exports = { port: require("./port.cjs") }' });
  for (const port of [1, 2]) {
    write(dir, { 'port.cjs': `module.exports = ${port}` });
    assert.equal((await load(dir)).config.port, port);
  }
});

test('what an ES module config imports is read anew', { skip: !('registerHooks' in module) && unsuited.registerHooks }, async (t) => {
  const dir = directory(t, { 'app.js': '', 'cluster.config.mjs': 'import { port } from "./port.mjs"; export default { port }' });
  for (const port of [1, 2]) {
    write(dir, { 'port.mjs': `export const port = ${port}` });
    assert.equal((await load(dir)).config.port, port);
  }
});

test('a link to a release is followed anew, and the logical path is kept', async (t) => {
  const dir = directory(t, {
    'releases/1/app.js': '', 'releases/1/cluster.config.cjs': 'module.exports = { port: 1 }',
    'releases/2/app.js': '', 'releases/2/agent.js': '', 'releases/2/cluster.config.cjs': 'module.exports = { port: 2 }',
  });
  const current = path.join(dir, 'current');
  symlinkSync('releases/1', current);
  const first = await load(current);
  symlinkSync('releases/2', `${current}.new`);
  renameSync(`${current}.new`, current);
  const second = await load(current);
  assert.deepEqual([first.config.port, second.config.port], [1, 2]);
  assert.deepEqual([first.target.dir, second.target.dir], [current, current]);
  assert.deepEqual([first.target.realDir, second.target.realDir], [`${dir}/releases/1`, `${dir}/releases/2`]);
  assert.deepEqual(second.target.entry, { app: `${dir}/releases/2/app.js`, agent: `${dir}/releases/2/agent.js` });
});
