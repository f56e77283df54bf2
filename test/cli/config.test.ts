import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { masked } from '../../bin/secrets.js';
import { node, run } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';
import { Sandbox, SERVER } from './sandbox.js';

test('config prints each value and where it comes from', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', {
    'server.js': SERVER, '.clusterrc': '{"workers": 3, "startTimeout": 9000, "profiles": {"production": {"startTimeout": 8000}}}',
  });
  const { code, stdout } = await sandbox.run(['config', dir, '--title', 'mine'], { env: { PORT: '4000' } });
  assert.equal(code, 0);
  const value = (key: string) => new RegExp(`^${key} +(.*)$`, 'm').exec(stdout)?.[1]?.replace(/ {2,}/g, ' | ');
  assert.equal(value('directory'), dir);
  assert.equal(value('profile'), 'production');
  assert.equal(value('app'), path.join(dir, 'server.js'));
  assert.match(value('workers') ?? '', /^3 \| file .*\.clusterrc$/);
  assert.match(value('startTimeout') ?? '', /^8000 \| profile .*/);
  assert.equal(value('port'), '4000 | env PORT');
  assert.equal(value('title'), '"mine" | flag --title');
  assert.match(value('balance') ?? '', /^"round-robin" \| default$/);
});

test('config --dev shows what dev would have; --json is for programs', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { stdout } = await sandbox.run(['config', dir, '--dev', '--json']);
  const { config, profile, sources } = JSON.parse(stdout) as {
    config: { workers: number }; profile: string; sources: Record<string, { from: string }>;
  };
  assert.deepEqual([config.workers, profile, sources.workers?.from], [1, 'development', 'default']);
});

test('config of what is wrong: 2, the file, the path in it and the nearest key', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SERVER, '.clusterrc': '{"workres": 3, "refork": {"limt": 1}}' });
  const { code, stdout, stderr } = await sandbox.run(['config', dir]);
  assert.deepEqual([code, stdout, stderr.trim().split('\n').length], [2, '', 2]);
  assert.match(stderr, /\.clusterrc.*workres.*"workers"/);
  assert.match(stderr, /\.clusterrc.*refork\.limt.*"limit"/);
});

test('a config that never finishes loading is an error, not a silent 0', async (t) => {
  const sandbox = new Sandbox(t);
  for (const command of ['config', 'start']) {
    const never = 'new Promise(() => {});';
    for (const [index, source] of [`await ${never}`, `export default ${never}`, `export default () => ${never}`].entries()) {
      const dir = sandbox.app(`${command}-${index}`, { 'server.js': SERVER, 'cluster.config.mjs': source });
      const { code, stderr } = await sandbox.run([command, dir]);
      assert.deepEqual([code, stderr], [2, 'cluster.config.mjs: Error: it never finishes loading: a top-level await, '
        + 'or a promise that it exports or returns, waits for what does not come\n']);
    }
  }
});

test('a config that misses a module: one line, and the place in it once', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SERVER, 'cluster.config.cjs': 'require("not-there")' });
  const { stderr } = await sandbox.run(['config', dir]);
  assert.match(stderr, /^cluster\.config\.cjs: Error: Cannot find module 'not-there'\n +at .*cluster\.config\.cjs:1:1\)\n$/);
  const esm = sandbox.app('esm', { 'server.js': SERVER, 'cluster.config.mjs': 'import "not-there"' });
  assert.match((await sandbox.run(['config', esm])).stderr, /^cluster\.config\.mjs: Error: Cannot find package 'not-there'.*\n$/);
});

test('config shows what a plugin makes of the configuration, changed in place or anew', async (t) => {
  const sandbox = new Sandbox(t);
  const plugin = `export default { name: "more", apply({ hooks }) {
    hooks.configResolved.tap("more", (config) => { config.workers = 7; return { ...config, startTimeout: 5 }; });
  } };`;
  const dir = sandbox.app('app', { 'server.js': SERVER, 'more.mjs': plugin, '.clusterrc': '{"plugins": {"./more.mjs": true}}' });
  const { stdout } = await sandbox.run(['config', dir]);
  assert.match(stdout, /^workers +7 +hook configResolved$/m);
  assert.match(stdout, /^startTimeout +5 +hook configResolved$/m);
});

test('ES module syntax in a package that npm init has called CommonJS', async (t) => {
  const sandbox = new Sandbox(t);
  const init = { 'package.json': '{"type": "commonjs"}', 'server.js': SERVER, 'half.js': 'exports.half = 3;' };
  const source = 'import { half } from "./half.js";\nexport default { workers: half * 2 };';
  const ts = await sandbox.run(['config', sandbox.app('ts', {
    ...init, 'cluster.config.ts': source.replace('half * 2', 'half * 2 as number'),
  })]);
  assert.match(ts.stdout, /^workers +6 /m, ts.stderr);
  const js = await sandbox.run(['config', sandbox.app('js', { ...init, 'cluster.config.js': source })]);
  const hooks = spawnSync(node, ['-p', 'typeof module.constructor.registerHooks'], { encoding: 'utf8' }).stdout.trim();
  if (hooks === 'function') assert.match(js.stdout, /^workers +6 /m, js.stderr);
  else {
    assert.deepEqual([js.code, js.stderr], [2, 'cluster.config.js: Error: it is an ES module by its syntax, '
      + 'and CommonJS by "type" in package.json: name it cluster.config.mjs, or write module.exports\n']);
  }
});

test('config masks what looks like a secret, by its name or by what is in it; --show-secrets does not', async (t) => {
  const sandbox = new Sandbox(t);
  const secrets = ['hunter2', 'abc-token', 'k3y', 'p4ss', '0ld', 'argpw'];
  const dir = sandbox.app('token-app', {
    'server.js': SERVER,
    'plugin.js': 'module.exports = { name: "mine", apply() {} };',
    '.clusterrc': JSON.stringify({
      env: { DB_PASSWORD: 'hunter2', STRIPE_KEY: 'k3y', REDIS_URL: 'redis://user:p4ss@host:6379/1', SHOWN: 'shown' },
      execArgv: ['--db-token=argpw'],
      plugins: { './plugin.js': { apiToken: 'abc-token', nested: { secrets: ['0ld', { a: 'hunter2' }] }, plain: 'plain' } },
    }),
  });
  for (const flags of [[], ['--json']]) {
    const hidden = (await sandbox.run(['config', dir, ...flags])).stdout;
    for (const secret of secrets) assert.ok(!hidden.includes(secret), `${secret} in ${hidden}`);
    for (const shown of ['***', 'redis://user:***@host:6379/1', 'shown', 'plain']) assert.ok(hidden.includes(shown), `${shown} in ${hidden}`);
    const whole = (await sandbox.run(['config', dir, '--show-secrets', ...flags])).stdout;
    for (const secret of secrets) assert.ok(whole.includes(secret), secret);
    assert.ok(!whole.includes('***'));
  }
});

test('a wrong value of what is masked is not told either', async (t) => {
  const { dir } = ownApp(t, {
    'package.json': { name: 'told' }, 'server.js': '', '.clusterrc.json': { env: { PASSWORD: ['hunter1'], API_TOKEN: { a: 'hunter2' } } },
  });
  const { code, stderr } = await run(['config', dir]);
  assert.equal(code, 2);
  assert.doesNotMatch(stderr, /hunter/);
  assert.match(stderr, /env\.PASSWORD: expected a text, found a list/);
});

test('secrets by further names, and in the middle of texts, are masked', () => {
  const env = {
    SESSION_KEYS: 'hunter', PGPASS: 'hunter', AUTHORIZATION: 'hunter', SIGNING: 'hunter', ENCRYPTION: 'hunter',
    A: 'Server=x;password=hunter;Port=1', B: 'http://x/?token=hunter&y=1', C: 'sk_live_hunterhunter', D: 'AKIAHUNTERHUNTERHUN',
    E: 'xoxb-hunter-hunter', F: 'https://hooks.slack.com/services/T0/B0/hunter',
  };
  const shown = masked({ env, headers: { authorization: 'hunter' } });
  assert.doesNotMatch(JSON.stringify(shown), /hunter/i);
  assert.match(JSON.stringify(shown), /Server=x;password=\*\*\*;Port=1.*token=\*\*\*&y=1/);
});

test('config --schema: the JSON Schema of the package, with the options of the plugins of this app', async (t) => {
  const sandbox = new Sandbox(t);
  const options = { $schema: 'http://json-schema.org/draft-07/schema#', type: 'object', properties: { limit: { type: 'number' } } };
  const dir = sandbox.app('app', {
    'server.js': SERVER,
    '.clusterrc': JSON.stringify({
      plugins: { './own.mjs': { limit: 'wrong' }, './own.mjs#two': true, './tells.mjs': true, './dumb.mjs': true },
    }),
    'own.mjs': `export default { name: 'own', apply() {}, jsonSchema: ${JSON.stringify(options)} };`,
    'tells.mjs': `export default { name: 'tells', apply() {}, schema: { '~standard': { version: 1, vendor: 'own',
      validate: (value) => ({ value }), jsonSchema: { input: ({ target }) => ({ title: target }) } } } };`,
    'dumb.mjs': `export default { name: 'dumb', apply() { throw new Error('applied'); }, schema: { '~standard': { version: 1, vendor: 'own',
      validate: (value) => ({ value }), jsonSchema: { input() { throw new Error('cannot be written so'); } } } } };`,
  });
  const { code, stdout, stderr } = await sandbox.run(['config', dir, '--schema']);
  assert.equal(code, 0, stderr);
  interface Schema { properties: Record<string, { properties: object; additionalProperties: Schema }> }
  const whole = JSON.parse(stdout) as Schema;
  const own = { anyOf: [{ type: 'boolean' }, { type: 'object', properties: { limit: { type: 'number' } } }] };
  const tells = { anyOf: [{ type: 'boolean' }, { title: 'draft-07' }] };
  for (const place of [whole, whole.properties.profiles?.additionalProperties]) {
    const plugins = place?.properties.plugins?.properties as Record<string, unknown>;
    assert.deepEqual([plugins['./own.mjs'], plugins['./own.mjs#two'], plugins['./tells.mjs']], [own, own, tells]);
    assert.ok('health-check' in plugins && !('./dumb.mjs' in plugins));
  }
});
