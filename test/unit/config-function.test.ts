import assert from 'node:assert/strict';
import test from 'node:test';
import { directory, load, refusal } from '../helpers/config-dir.js';

test('a configuration may be a function of command, profile and variables, in a base and a framework too', async (t) => {
  const say = (key: string) => `export default async ({ command, profile, env }) => ({ ${key}: [command, profile, env.X].join() });`;
  const dir = directory(t, {
    'app.js': '',
    'cluster.config.mjs': `const own = ${say('title').slice('export default '.length, -1)};
      export default async (given) => ({ ...await own(given), extends: './base.mjs', framework: 'fw' });`,
    'base.mjs': say('host'),
    'node_modules/fw/package.json': { name: 'fw', main: 'index.js' },
    'node_modules/fw/index.js': '',
    'node_modules/fw/cluster.config.cjs': 'module.exports = ({ command }) => ({ port: command === "dev" ? 1 : 2 });',
  });
  const started = await load(dir, { env: { X: 'x' } });
  assert.deepEqual([started.config.title, started.config.host, started.config.port], ['start,production,x', 'start,production,x', 2]);
  const { config, provenance } = await load(dir, { command: 'dev', env: { X: 'y' }, flags: { profile: 'test' } });
  assert.deepEqual([config.title, config.host, config.port], ['dev,test,y', 'dev,test,y', 1]);
  assert.deepEqual(provenance.title, { from: 'file', where: 'cluster.config.mjs' });
});

test('one that fails, or gives no object, is an error that names the file', async (t) => {
  const withCode = (code: string) => load(directory(t, { 'app.js': '', 'cluster.config.mjs': code }));
  assert.equal(await refusal(withCode('export default () => { throw new Error("no\\nway"); }')), 'cluster.config.mjs: Error: no');
  assert.equal(await refusal(withCode('export default async () => 5')), 'cluster.config.mjs: expected an object of keys, found a number');
  assert.match(await refusal(withCode('export default () => ({ prot: 5 })')), /^cluster\.config\.mjs: prot: unknown key/);
  assert.deepEqual((await withCode('export default () => undefined')).config.port, 7001);
});
