import assert from 'node:assert/strict';
import test from 'node:test';
import { load, refusal, withConfig } from '../helpers/config-dir.js';

test('modules of require and import that are not there: where it is written, what, a line each', async (t) => {
  const dir = withConfig(t, { require: ['./gone.js', 'gone'], import: ['@gone/too/register'] });
  assert.equal(await refusal(load(dir)), [
    `.clusterrc: require: no such file: ./gone.js (${dir}/gone.js)`,
    `.clusterrc: require: package "gone" cannot be found from ${dir}: is it installed?`,
    `.clusterrc: import: package "@gone/too/register" cannot be found from ${dir}: is it installed?`,
  ].join('\n'));
  assert.equal(await refusal(load(dir, { flags: { require: [], import: ['./no.mjs'] } })),
    `--import: no such file: ./no.mjs (${dir}/no.mjs)`);
});

test('what Node finds is let through: files with an extension or without, packages however they export, builtins, URLs', async (t) => {
  const dir = withConfig(t, {
    require: ['./pre', './pre.js', 'one', 'node:fs'], import: ['./pre.js', 'one/only-for-import', 'fs', 'data:text/javascript,0'],
  }, {
    'pre.js': '',
    'node_modules/one/package.json': { name: 'one', exports: { '.': './index.js', './only-for-import': { import: './import.mjs' } } },
    'node_modules/one/index.js': '',
    'node_modules/one/import.mjs': '',
  });
  assert.equal((await load(dir)).config.require.length, 4);
});
