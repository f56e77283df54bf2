import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { SEARCH_PLACES } from '../../lib/config/files.js';
import { directory, load, refusal, withConfig, type Files } from '../helpers/config-dir.js';

const esm = 'export default { port: 5 }';
const cjs = 'module.exports = { port: 5 }';
const typed = 'const port: number = 5; export default { port } satisfies { port: number };';

const contents: [name: string, content: string | object, also?: Files][] = [
  ['.clusterrc', { port: 5 }],
  ['.clusterrc', 'port: 5 # YAML'],
  ['.clusterrc', '{ port: 5, } # YAML in braces'],
  ['.clusterrc', '\uFEFF{\n\t"port": 5\n}'],
  ['.clusterrc.json', '\uFEFF{ "$schema": "./schema.json", "port": 5 }'],
  ['.clusterrc.yaml', 'port: 5'],
  ['.clusterrc.yml', '---\nport: 5\n'],
  ['.clusterrc.js', cjs],
  ['.clusterrc.js', esm, { 'package.json': { type: 'module' } }],
  ['.clusterrc.cjs', cjs, { 'package.json': { type: 'module' } }],
  ['.clusterrc.cjs', 'Object.defineProperty(exports, "__esModule", { value: true }); exports.default = { port: 5 }'],
  ['.clusterrc.mjs', esm],
  ['.clusterrc.mjs', 'export const port = 5'],
  ['.clusterrc.ts', typed],
  ['cluster.config.js', cjs],
  ['cluster.config.cjs', cjs],
  ['cluster.config.mjs', `await null; ${esm}`],
  ['cluster.config.ts', typed, { 'package.json': { type: 'module' } }],
  ['package.json', { cluster: { port: 5 } }],
];

for (const [name, content, also] of contents) {
  test(`${name}: ${JSON.stringify(content)}`, async (t) => {
    const dir = directory(t, { 'app.js': '', ...also, [name]: content });
    const { config, files, provenance } = await load(dir);
    assert.equal(config.port, 5);
    assert.deepEqual(files, [path.join(dir, name)]);
    assert.equal(provenance.port?.where, name === 'package.json' ? 'package.json#cluster' : name);
  });
}

test('every place is tried above', () => {
  const tried = new Set(contents.map(([name]) => name));
  assert.deepEqual(SEARCH_PLACES.filter((place) => !tried.has(place)), []);
});

test('the first place counts, the others are told', async (t) => {
  const dir = withConfig(t, { port: 1 }, { 'cluster.config.mjs': esm, 'package.json': { cluster: { port: 3 } } });
  const { config, unused } = await load(dir);
  assert.equal(config.port, 1);
  assert.deepEqual(unused.map((file) => path.basename(file)), ['cluster.config.mjs', 'package.json']);
});

test('directories above are not searched', async (t) => {
  const dir = withConfig(t, { port: 1 }, { 'inner/app.js': '' });
  assert.equal((await load(path.join(dir, 'inner'))).config.port, 7001);
});

test('--config takes the place of what is found', async (t) => {
  const dir = withConfig(t, { port: 1, host: 'h' }, { 'conf/other.yaml': 'port: 5' });
  const { config, files } = await load(dir, { flags: { config: 'conf/other.yaml' } });
  assert.deepEqual([config.port, config.host], [5, undefined]);
  assert.deepEqual(files, [path.join(dir, 'conf/other.yaml')]);
  assert.equal(await refusal(load(dir, { flags: { config: 'none.json' } })), `--config: no such file: none.json (${dir}/none.json)`);
  assert.match(await refusal(load(dir, { flags: { config: 'conf' } })), /^conf: cannot be read: it is a directory$/);
  assert.match(await refusal(load(withConfig(t, {}, { 'x.toml': '' }), { flags: { config: 'x.toml' } })),
    /^x\.toml: a configuration file ends in \.json, /);
});

test('an empty file says nothing', async (t) => {
  for (const name of ['.clusterrc', '.clusterrc.json', '.clusterrc.yaml']) {
    assert.equal((await load(directory(t, { 'app.js': '', [name]: ' \n' }))).config.port, 7001);
  }
});
