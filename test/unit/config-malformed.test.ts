import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { directory, load, refusal, type Files } from '../helpers/config-dir.js';

const says = (t: test.TestContext, files: Files) => refusal(load(directory(t, { 'app.js': '', ...files })));

for (const [name, content, message] of [
  ['.clusterrc', '{ "port": 5, ] }', '.clusterrc:1:14: not valid JSON: expected a key in double quotes, found "]"'],
  ['.clusterrc', '{\n  "port": 5\n  "host": "x"\n}', '.clusterrc:3:3: not valid JSON: expected "," or "}", found "\\""'],
  ['.clusterrc.json', '{\n  "port": 5,\n}', '.clusterrc.json:3:1: not valid JSON: expected a key in double quotes, found "}"'],
  ['.clusterrc.json', '{ "port": 05 }', '.clusterrc.json:1:11: not valid JSON: expected a value, found "05"'],
  ['.clusterrc.json', '{ "import": ["a" "b"] }', '.clusterrc.json:1:18: not valid JSON: expected "," or "]", found "\\""'],
  ['.clusterrc.json', '{ "port": 5', '.clusterrc.json:1:12: not valid JSON: expected "," or "}", found the end of the file'],
  ['.clusterrc.json', '// mine\n{}', '.clusterrc.json:1:1: not valid JSON: expected a value, found "/"'],
  ['.clusterrc', '// mine\n{ "port": 5 }', '.clusterrc:1:1: not valid JSON: expected a value, found "/"'],
  ['.clusterrc.json', '{} {}', '.clusterrc.json:1:4: not valid JSON: expected "," or the end, found "{"'],
  ['.clusterrc.json', "{ 'port': 5 }", '.clusterrc.json:1:3: not valid JSON: expected a key in double quotes or "}", found "\'"'],
  ['.clusterrc.yaml', 'port: 5\n  host: x\n', '.clusterrc.yaml:2:7: not valid YAML: bad indentation of a mapping entry'],
  ['.clusterrc', 'port: 5\nport: 6\n', '.clusterrc:2:1: not valid YAML: duplicated mapping key'],
  [
    '.clusterrc.yaml', 'port: 5\n---\nport: 6\n',
    '.clusterrc.yaml: YAMLException: expected a single document in the stream, but found more',
  ],
  ['package.json', '{ "name": }', 'package.json:1:11: not valid JSON: expected a value, found "}"'],
] as const) {
  test(`${name} ${JSON.stringify(content)}`, async (t) => assert.equal(await says(t, { [name]: content }), message));
}

for (const [content, found] of [['[1]', 'a list'], ['"text"', 'a string'], ['42', 'a number']] as const) {
  test(`${content} is no configuration`, async (t) => {
    assert.equal(await says(t, { '.clusterrc.json': content }), `.clusterrc.json: expected an object of keys, found ${found}`);
    assert.match(await says(t, { 'package.json': `{"cluster": ${content}}` }), /^package\.json#cluster: expected an object of keys/);
  });
}

test('a directory in the place of a file', async (t) => {
  const dir = directory(t, { 'app.js': '' });
  assert.equal(await refusal(load(dir, { flags: { config: '.' } })), `${dir}: cannot be read: it is a directory`);
  mkdirSync(path.join(dir, '.clusterrc'));
  assert.equal(await refusal(load(dir)), '.clusterrc: cannot be read: it is a directory');
});

test('a link to nowhere', async (t) => {
  const { symlinkSync } = await import('node:fs');
  const dir = directory(t, { 'app.js': '' });
  symlinkSync('gone', path.join(dir, '.clusterrc.json'));
  assert.equal(await refusal(load(dir)), '.clusterrc.json: cannot be read: there is no such file');
});

test('a JavaScript config that throws, does not parse, or misses a module: one line, the rest beside it', async (t) => {
  assert.equal(await says(t, { 'cluster.config.mjs': 'throw new TypeError("no database")' }), 'cluster.config.mjs: TypeError: no database');
  assert.match(await says(t, { 'cluster.config.mjs': 'export default {' }), /^cluster\.config\.mjs:1: SyntaxError: .+$/);
  assert.match(await says(t, { 'cluster.config.mjs': 'import "./part.mjs";', 'part.mjs': '\nlet a = ;' }),
    /^cluster\.config\.mjs: \/\S+\/part\.mjs:2: SyntaxError: Unexpected token ';'$/);
  assert.match(await says(t, { 'cluster.config.cjs': 'require("not-there")' }),
    /^cluster\.config\.cjs: Error: Cannot find module 'not-there'$/);
  assert.equal(await says(t, { 'cluster.config.mjs': 'throw null' }), 'cluster.config.mjs: Error: it threw null');
});

test('the target is not there, or nothing is in it', async (t) => {
  const dir = directory(t);
  assert.equal(await refusal(load('nowhere', { cwd: dir }), 'ERR_CLUSTER_APP_NOT_FOUND'),
    `nowhere: no such directory or file (${dir}/nowhere)`);
  assert.equal(await refusal(load('srever.js', { cwd: directory(t, { 'server.js': '' }) }), 'ERR_CLUSTER_APP_NOT_FOUND')
    .then((says) => says.replace(/\(.*\)/, '')),
    'srever.js: no such directory or file , did you mean "server.js"?');
  assert.equal(await refusal(load('/dev/null', { cwd: dir }), 'ERR_CLUSTER_APP_NOT_FOUND'), '/dev/null: neither a directory nor a file');
  assert.match(await refusal(load(dir), 'ERR_CLUSTER_APP_NOT_FOUND'),
    /^nothing to run in .*: looked for main of package\.json and \{app,server,index\}\.\{ts,mts,js,mjs,cjs\}/);
});

/** As Windows' tools write what they call Unicode. */
const encodings: Record<string, (text: string) => Buffer> = {
  'little endian with a mark': (text) => Buffer.from(`\uFEFF${text}`, 'utf16le'),
  'big endian with a mark': (text) => Buffer.from(`\uFEFF${text}`, 'utf16le').swap16(),
  'little endian': (text) => Buffer.from(text, 'utf16le'),
};
for (const [encoding, encoded] of Object.entries(encodings)) {
  test(`UTF-16, ${encoding}, is said`, async (t) => {
    for (const [name, content] of [
      ['.clusterrc', 'port: 5'], ['.clusterrc.json', '{"port":5}'], ['cluster.config.cjs', 'module.exports = {}'], ['package.json', '{}'],
    ] as const) {
      const dir = directory(t, { 'app.js': '' });
      writeFileSync(path.join(dir, name), encoded(content));
      assert.match(await refusal(load(dir)), /^[\w.]+: (?:cannot be read: )?it is UTF-16, .* save it as UTF-8/);
    }
  });
}

test('a mark of UTF-8 is passed over', async (t) => {
  const { config } = await load(directory(t, { 'app.js': '', '.clusterrc': '\uFEFFport: 5', 'package.json': '\uFEFF{"name":"marked"}' }));
  assert.deepEqual([config.port, config.title], [5, 'marked']);
});
