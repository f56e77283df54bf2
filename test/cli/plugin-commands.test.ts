import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { root, type Scope } from '../helpers/cluster.js';
import { Sandbox, SERVER } from './sandbox.js';

const CLI = path.join(root, 'dist/bin/index.js');
const PLUGIN = `export default {
  name: 'limits',
  commands: {
    'limits:set': { description: 'set the limits', load: () => import('./set.mjs') },
    broken: { description: 'cannot be loaded', load: () => import('./broken.mjs') },
    unread: { description: 'does not parse', load: () => import('./unread.mjs') },
    wrong: { description: 'is no command', load: () => class {} },
  },
  apply(master) {
    master.route({ method: 'POST', path: '/limits', open: false, handler: (query, { method, headers, body, progress }) => {
      progress('reads');
      progress('sets');
      return { body: { method, type: headers['content-type'], body, query: query.get('q') } };
    } });
    const put = (query, { body }) => ({ body: { body }, headers: { 'x-mine': 'yes' } });
    master.route({ method: 'PUT', path: '/limits', open: false, handler: put });
  },
};`;
const SET = `const { Command, connect } = await import(${JSON.stringify(CLI)}).then((cli) => cli.default);
export default class Set extends Command {
  get description() { return 'set the limits'; }
  get words() { return ['<N>', '[target]']; }
  get flags() { return { fast: { kind: 'switch', description: 'at once' } }; }
  async run({ argv }) {
    const client = await connect(argv._[1]);
    const result = await client.run('/limits?q=1', ({ text }) => console.error(text), { limit: argv._[0], fast: argv.fast === true });
    const put = await client.request('PUT', '/limits', { body: [1] });
    console.log(JSON.stringify({ result, put: [put.status, put.headers['x-mine'], JSON.parse(put.body)] }));
  }
}`;

function app(t: Scope): { sandbox: Sandbox; dir: string } {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', {
    'server.js': SERVER, 'limits.mjs': PLUGIN, 'set.mjs': SET, 'broken.mjs': 'throw new Error("not built");',
    'unread.mjs': 'export default class {\n  run( {}\n}',
    '.clusterrc': '{ "plugins": { "./limits.mjs": true } }',
  });
  return { sandbox, dir };
}

test('a command of a plugin talks to a route of the plugin', async (t) => {
  const { sandbox, dir } = app(t);
  await sandbox.daemon(dir);
  const { code, stdout, stderr } = await sandbox.run(['limits:set', '5', dir, '--fast']);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, 'reads\nsets\n');
  assert.deepEqual(JSON.parse(stdout), {
    result: { method: 'POST', type: 'application/json', body: { limit: '5', fast: true }, query: '1' },
    put: [200, 'yes', { body: [1] }],
  });
});

test('help lists it, and its own help is that of a command', async (t) => {
  const { sandbox, dir } = app(t);
  assert.match((await sandbox.run(['--help'], { cwd: dir })).stdout, /limits:set +set the limits/);
  assert.match((await sandbox.run(['limits:set', '--help'], { cwd: dir })).stdout, /limits:set <N> \[target\] \[flags\]/);
  assert.doesNotMatch((await sandbox.run(['--help'])).stdout, /limits:set/);
});

const WRONG: readonly [words: string[], says: RegExp][] = [
  [['limits:st'], /^unknown command "limits:st", did you mean "limits:set"\?\n$/],
  [['limits:set', '--fsat'], /^--fsat: unknown flag, did you mean "--fast"\?\n$/],
  [['broken'], /^the command "broken" of plugin "limits" cannot be loaded: not built\n/],
  [['unread'], /^the command "unread" of plugin "limits" cannot be loaded: \/\S+\/unread\.mjs:\d: Unexpected token .*\n\S+\n[^]*\^\n$/],
  [['wrong'], /^the command "wrong" of plugin "limits": expected a class that extends Command of hatchery\/cli\n$/],
  [['nothing-like-it'], /^unknown command "nothing-like-it"; known are .*limits:set/],
];
for (const [words, says] of WRONG) {
  test(`${words.join(' ')}: told in a line, 2`, async (t) => {
    const { sandbox, dir } = app(t);
    const { code, stderr } = await sandbox.run(words, { cwd: dir });
    assert.match(stderr, says);
    assert.equal(code, 2);
  });
}

test('without an app, or with a wrong configuration, an unknown command is told', async (t) => {
  const sandbox = new Sandbox(t);
  assert.match((await sandbox.run(['nothing-like-it'])).stderr, /^unknown command "nothing-like-it"; known are /);
  const dir = sandbox.app('app', { 'server.js': SERVER, '.clusterrc': '{ "workrs": 1 }' });
  const { code, stderr } = await sandbox.run(['nothing-like-it'], { cwd: dir });
  assert.equal(code, 2);
  assert.match(stderr, /workrs.*did you mean "workers"/);
});

test('two plugins with one command, or one of framework itself, are told', async (t) => {
  const sandbox = new Sandbox(t);
  const plugin = (name: string, command: string) =>
    `export default { name: '${name}', commands: { '${command}': { description: 'x', load: () => {} } }, apply() {} };`;
  const dir = sandbox.app('app', {
    'server.js': SERVER, 'a.mjs': plugin('a', 'same'), 'b.mjs': plugin('b', 'same'),
    '.clusterrc': '{ "plugins": { "./a.mjs": true, "./b.mjs": true } }',
  });
  const twice = await sandbox.run(['same'], { cwd: dir });
  assert.match(twice.stderr, /plugin "b" brings the command "same", which plugin "a" brings already/);
  const rc = '{ "plugins": { "./a.mjs": true } }';
  const other = sandbox.app('other', { 'server.js': SERVER, 'a.mjs': plugin('a', 'start'), '.clusterrc': rc });
  const ours = await sandbox.run(['anything-else'], { cwd: other });
  assert.match(ours.stderr, /brings the command "start", which the command line has already/);
});
