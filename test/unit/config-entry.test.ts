import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import test from 'node:test';
import { directory, load, refusal, type Files } from '../helpers/config-dir.js';
import type { LoadRequest } from '../../lib/config/load.js';

/** What is found, relative to the directory. */
async function found(t: test.TestContext, files: Files, request?: LoadRequest): Promise<object> {
  const dir = directory(t, files);
  const { entry } = (await load(dir, { ...request, ...(request?.target ? { target: path.join(dir, request.target) } : {}) })).target;
  return Object.fromEntries(Object.entries(entry)
    .map(([key, value]) => [key, typeof value === 'string' ? path.relative(dir, value) : value as unknown]));
}

const cases: [name: string, files: Files, found: object, request?: LoadRequest][] = [
  ['the app key', { '.clusterrc': { app: 'x/y.js' }, 'x/y.js': '', 'app.js': '' }, { app: 'x/y.js' }],
  ['the app key without extension', { '.clusterrc': { app: './x' }, 'x.mjs': '' }, { app: 'x.mjs' }],
  ['the app key as a folder', { '.clusterrc': { app: 'x' }, 'x/package.json': { main: 'm.js' }, 'x/m.js': '' }, { app: 'x/m.js' }],
  ['main', { 'package.json': { main: 'lib/m.js' }, 'lib/m.js': '', 'app.js': '' }, { app: 'lib/m.js' }],
  ['main without extension', { 'package.json': { main: 'lib/m' }, 'lib/m.cjs': '' }, { app: 'lib/m.cjs' }],
  ['main that is not there', { 'package.json': { main: 'lib/m.js' }, 'server.js': '' }, { app: 'server.js' }],
  ['app before server before index', { 'index.ts': '', 'server.js': '', 'app.cjs': '' }, { app: 'app.cjs' }],
  ['TypeScript before JavaScript', { 'server.js': '', 'server.mjs': '', 'server.ts': '' }, { app: 'server.ts' }],
  ['a folder named like an app is none', { 'app.js/x': '', 'index.js': '' }, { app: 'index.js' }],
  ['agent.*', { 'app.js': '', 'agent.mts': '' }, { app: 'app.js', agent: 'agent.mts' }],
  ['the agent key', { '.clusterrc': { agent: 'a.js' }, 'app.js': '', 'a.js': '', 'agent.js': '' }, { app: 'app.js', agent: 'a.js' }],
  ['agent: true', { '.clusterrc': { agent: true }, 'app.js': '' }, { app: 'app.js', agent: true }],
  ['agent: true with a file', { '.clusterrc': { agent: true }, 'app.js': '', 'agent.js': '' }, { app: 'app.js', agent: 'agent.js' }],
  ['agent: false', { '.clusterrc': { agent: false }, 'app.js': '', 'agent.js': '' }, { app: 'app.js' }],
  ['an entry file', { 'bin/www.js': '', 'bin/agent.js': '' }, { app: 'bin/www.js', agent: 'bin/agent.js' }, { target: 'bin/www.js' }],
  [
    'a framework by path needs no app and has its own agent',
    { '.clusterrc': { framework: './fw' }, 'fw/index.mjs': '', 'agent.js': '', 'app.js': '' }, { framework: 'fw/index.mjs' },
  ],
  [
    'a framework by package',
    { '.clusterrc': { framework: 'fw' }, 'node_modules/fw/package.json': { main: 'm.js' }, 'node_modules/fw/m.js': '' },
    { framework: 'node_modules/fw/m.js' },
  ],
  ['a framework for import alone', {
    '.clusterrc': { framework: 'fw' },
    'node_modules/fw/package.json': { exports: { '.': { import: { types: './m.d.ts', default: './m.js' } } } }, 'node_modules/fw/m.js': '',
  }, { framework: 'node_modules/fw/m.js' }],
  ['a dual framework in an ES module app', {
    '.clusterrc': { framework: 'fw' }, 'package.json': { type: 'module' },
    'node_modules/fw/package.json': { exports: { '.': { import: './m.mjs', require: './m.cjs' } } }, 'node_modules/fw/m.mjs': '',
    'node_modules/fw/m.cjs': '',
  }, { framework: 'node_modules/fw/m.mjs' }],
  ['a dual framework in a CommonJS app', {
    '.clusterrc': { framework: 'fw' },
    'node_modules/fw/package.json': { exports: { '.': { import: './m.mjs', require: './m.cjs' } } }, 'node_modules/fw/m.mjs': '',
    'node_modules/fw/m.cjs': '',
  }, { framework: 'node_modules/fw/m.cjs' }],
];

for (const [name, files, expected, request] of cases) {
  test(name, async (t) => assert.deepEqual(await found(t, files, request), expected));
}

test('what a key names and is not there', async (t) => {
  const says = (files: Files, request?: LoadRequest) => refusal(found(t, { 'app.js': '', ...files }, request), 'ERR_CLUSTER_APP_NOT_FOUND');
  assert.match(await says({ '.clusterrc': { app: 'x.js' } }), /^\.clusterrc: app: no such file: x\.js \(\/.*\/x\.js\)$/);
  assert.match(await says({ '.clusterrc': { app: 'x' }, 'x/y': '' }), /^\.clusterrc: app: no module in directory x \(\/.*\/x\)$/);
  assert.match(await says({}, { flags: { agent: 'a.js' } }), /^--agent: no such file: a\.js \(\//);
  assert.match(await says({ 'package.json': { cluster: { framework: 'egg-not' } } }),
    /^package\.json#cluster: framework: package "egg-not" cannot be found from .*: is it installed\?$/);
  assert.match(await says({}, { flags: { framework: './fw' } }), /^--framework: no module at \.\/fw \(\/.*\/fw\)$/);
  assert.match(await refusal(found(t, { 'package.json': { main: 'gone.js' } }), 'ERR_CLUSTER_APP_NOT_FOUND'),
    /looked for "gone\.js" \(main of package\.json\) and/);
});

test('a flag\'s path counts from where it is typed, else from the app', async (t) => {
  const dir = directory(t, { 'apps/one/app.js': '', 'apps/one/agent-one.js': '', 'typed.js': '' });
  const entry = async (agent: string) => (await load('apps/one', { cwd: dir, flags: { agent } })).target.entry.agent;
  assert.equal(await entry('agent-one.js'), path.join(dir, 'apps/one/agent-one.js'));
  assert.equal(await entry('./typed.js'), path.join(dir, 'typed.js'));
});

test('an agent that is there and cannot be looked at is no agent that is gone', async (t) => {
  const dir = directory(t, { 'app.js': '', 'agent.js': '' });
  const { statSync } = fs;
  t.mock.method(fs, 'statSync', (file: string, options?: object) => {
    if (file.endsWith('agent.js')) throw Object.assign(new Error('EACCES: agent.js'), { code: 'EACCES' });
    return statSync(file, options);
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  assert.equal(await refusal(load(dir), 'ERR_CLUSTER_APP_NOT_FOUND'), `${dir}/agent.js: cannot be looked at: permission denied`);
});
