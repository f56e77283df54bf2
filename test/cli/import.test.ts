import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { directory } from '../helpers/config-dir.js';
import { fixture, run, type Scope } from '../helpers/cluster.js';

interface Told {
  apps: { file: string; title: string; config: Record<string, unknown>; notes: { kind: string; key: string; text: string }[] }[];
  skipped: string[];
}

async function imported(t: Scope & test.TestContext, content: string, file = 'ecosystem.config.js', more: Record<string, string> = {}) {
  const dir = directory(t, { [file]: content, 'server.js': '', 'package.json': {}, ...more });
  const { code, stdout, stderr } = await run(['import', 'pm2', '--json'], { cwd: dir });
  assert.equal(code, 0, stderr);
  return { dir, ...JSON.parse(stdout) as Told };
}

test('import pm2: what an ecosystem file says stands in .clusterrc, and what became of it is told', async (t) => {
  const { dir, apps } = await imported(t, `module.exports = { apps: [{
    name: 'shop', script: './server.js', args: '--color "two words"', instances: 'max', exec_mode: 'cluster',
    node_args: ['--max-old-space-size=512'], max_memory_restart: '300M', cron_restart: '0 3 * * *', wait_ready: true,
    listen_timeout: 10000, kill_timeout: '20s', shutdown_with_message: true, watch: false, error_file: './err.log',
    env: { NODE_ENV: 'production', PORT: 3000, API: 'https://api.test' }, env_staging: { PORT: 3001, NODE_ENV: 'staging' },
    hovercraft: 1,
  }] };`);
  assert.equal(apps.length, 1);
  const file = path.join(dir, '.clusterrc');
  assert.equal(apps[0]?.file, file);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
    title: 'shop', app: './server.js', args: ['--color', 'two words'], workers: 'auto', execArgv: ['--max-old-space-size=512'],
    port: 3000, env: { API: 'https://api.test' }, profiles: { staging: { port: 3001, env: { NODE_ENV: 'staging' } } },
    plugins: {
      'health-check': { maxRss: '300MB', cron: '0 3 * * *' },
      pm2: { waitReady: true, listenTimeout: 10_000, shutdownMessage: true },
      'graceful-exit': { timeout: 20_000 },
    },
  });
  const kinds = Object.fromEntries(apps[0].notes.map(({ key, kind }) => [key, kind]));
  assert.equal(kinds.watch, 'unneeded');
  assert.equal(kinds.error_file, 'changed');
  assert.equal(kinds.hovercraft, 'lost');
  assert.equal((await run(['config', dir])).code, 0, 'and it is a configuration');
});

test('import pm2: an app that is told to be in development is in production under the profile of that name', async (t) => {
  const both = "env_production: { NODE_ENV: 'production', A: 1 }, env: { NODE_ENV: 'development' }";
  const { apps: [app] } = await imported(t, `module.exports = { apps: [{ script: './server.js', ${both} }] };`);
  assert.deepEqual(app?.config, {
    app: './server.js', workers: 1, env: { NODE_ENV: 'development' },
    profiles: { production: { env: { NODE_ENV: 'production', A: '1' } } }, plugins: { pm2: {} },
  });
});

test('import pm2: the program of an installed package is its module, and nest start is what it has built', async (t) => {
  const program = JSON.stringify({ name: 'site-server', bin: { 'site-server': './lib/bin.js' } });
  const { apps } = await imported(t, `module.exports = { apps: [
    { name: 'site', script: 'site-server', args: 'public' }, { name: 'api', script: 'npm', args: 'start' },
  ] };`, 'ecosystem.config.js', {
    'node_modules/site-server/package.json': program, 'node_modules/site-server/lib/bin.js': '',
    'package.json': '{ "scripts": { "start": "nest start" } }',
  });
  assert.deepEqual(apps.map(({ config }) => [config.title, config.app, config.args]), [
    ['site', 'node_modules/site-server/lib/bin.js', ['public']], ['api', 'dist/main.js', undefined],
  ]);
});

test('import pm2 writes over no file without --force', async (t) => {
  const content = 'module.exports = { apps: [{ script: "server.js" }] }';
  const dir = directory(t, { 'ecosystem.config.js': content, 'server.js': '', '.clusterrc': '{}' });
  const refused = await run(['import', 'pm2'], { cwd: dir });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /\.clusterrc is there already; --force writes over it/);
  assert.equal(readFileSync(path.join(dir, '.clusterrc'), 'utf8'), '{}');
  const forced = await run(['import', 'pm2', '--force'], { cwd: dir });
  assert.equal(forced.code, 0);
  assert.match(forced.stdout, /start it: cd .* && framework start --daemon/);
});

test('JSON with comments, YAML, one app alone, several apps, and what is no Node.js', async (t) => {
  const json = await imported(t, '{ /* ours */ "apps": [{ "name": "a", "script": "server.js", "instances": 0, }] }', 'ecosystem.json');
  assert.equal(json.apps[0]?.config.workers, 'auto');
  const yaml = await imported(t, 'apps:\n  - script: server.js\n    instances: 2\n', 'ecosystem.config.yaml');
  assert.equal(yaml.apps[0]?.config.workers, 2);
  const alone = await imported(t, '{ "name": "a", "script": "server.js" }', 'process.json');
  assert.deepEqual(alone.apps[0]?.config, { title: 'a', app: 'server.js', workers: 1, plugins: { pm2: {} } });
  const several = await imported(t, `module.exports = [
    { name: 'one', script: 'server.js' }, { name: 'two', script: 'server.js', port: 3002 },
    { name: 'py', script: 'main.py', interpreter: 'python3' },
  ]`, 'ecosystem.config.cjs');
  assert.deepEqual(several.apps.map(({ file }) => path.basename(file)), ['one.clusterrc.json', 'two.clusterrc.json']);
  assert.deepEqual(several.skipped, ['py: its interpreter is python3, which is not Node.js']);
  const npm = await imported(t, 'module.exports = { apps: [{ name: "n", script: "npm", args: "run serve" }] }', 'ecosystem.config.js', {
    'package.json': JSON.stringify({ scripts: { serve: 'NODE_ENV=production node server.js' } }),
  });
  assert.equal(npm.apps[0]?.config.app, 'server.js');
});

test('what cannot be imported is one line, and exit code 2', async (t) => {
  const dir = directory(t, { 'broken.json': '{ apps: [', 'none.json': '{}' });
  for (const [words, says] of [
    [['pm2'], /import pm2: there is no ecosystem file in /],
    [['pm2', 'broken.json'], /import pm2: .*broken\.json cannot be read: /],
    [['pm2', 'none.json'], /none\.json names no apps/],
    [['pm3'], /import: expected pm2 or egg-scripts, found "pm3", did you mean "pm2"\?/],
    [['egg-scripts'], /import egg-scripts: there is no .*package\.json/],
  ] as const) {
    const { code, stderr } = await run(['import', ...words], { cwd: dir });
    assert.equal(code, 2);
    assert.match(stderr, says);
  }
});

test('import egg-scripts: eggScriptsConfig and the flags of the script', async (t) => {
  const dir = directory(t, { 'package.json': {
    name: 'shop', egg: { framework: 'yadan', typescript: true },
    scripts: { start: 'egg-scripts start --daemon --port=7002 --title=egg-server-shop --env=pre --sticky' },
    eggScriptsConfig: { workers: 2, 'node-options--max-http-header-size': '20000', require: ['./inject.js'], 'ignore-stderr': true },
  } });
  const { code, stdout, stderr } = await run(['import', 'egg-scripts', '--json'], { cwd: dir });
  assert.equal(code, 0, stderr);
  assert.deepEqual((JSON.parse(stdout) as Told).apps[0]?.config, {
    title: 'egg-server-shop', workers: 2, require: ['./inject.js'], port: 7002, env: { EGG_SERVER_ENV: 'pre' },
    plugins: { egg: { options: { sticky: true } } },
    execArgv: ['--max-http-header-size=20000', '--enable-source-maps'],
  });
});

/** As they stand in public repositories; names and addresses are others. Each is for an app with these files. */
const FOUND: Record<string, { titles: string[]; skipped: RegExp[]; configs: Record<string, object> }> = {
  'line-as-script.config.js': {
    titles: ['game', 'api', 'site', 'ui', 'checker'],
    skipped: [],
    configs: {
      game: { app: './server.js', workers: 1, plugins: { 'health-check': { maxRss: '1.5GB' }, pm2: {} } },
      api: { app: 'server.js', args: ['--debug'], execArgv: ['--enable-source-maps'], workers: 1, plugins: { pm2: {} } },
      site: { app: './server.js', workers: 1, port: 3000, plugins: { pm2: {} } },
      ui: { app: './server.js', args: ['-p', '4000'], workers: 1, plugins: { pm2: {} } },
      checker: { app: 'jobs/check.cjs', workers: 1, plugins: { 'health-check': { cron: '*/5 * * * *' }, pm2: {} } },
    },
  },
  'names.config.js': {
    titles: ['monitor-server', 'monitor-server-2', 'server', 'jobs'],
    skipped: [/^Frontend: serve: there is no such file/, /^go: its interpreter is none/],
    configs: { jobs: { app: './jobs/', workers: 1, plugins: { pm2: {} } } },
  },
  'empty-values.json': {
    titles: ['ssr'],
    skipped: [],
    configs: {
      ssr: {
        app: './server.js', workers: 2, plugins: { 'health-check': { maxRss: '26214MB' }, pm2: {} },
        refork: { minDelay: 30_000, maxDelay: 30_000 }, port: 9527, env: { REMOTE_ADDR: '', HOST: '0.0.0.0' },
        profiles: { dev: { port: 9527, env: { EXE_ENV: 'dev' } } },
      },
    },
  },
  'module.config.mjs': {
    titles: ['svc', 'pinned'],
    skipped: [],
    configs: {
      svc: { app: './server.ts', workers: 'auto', plugins: { pm2: {} } },
      pinned: { app: 'server.js', execArgv: ['--max-old-space-size=512'], workers: 1, plugins: { pm2: {} } },
    },
  },
};

for (const [name, { titles, skipped, configs }] of Object.entries(FOUND)) {
  test(`${name}: all apps in it are taken that are Node's, and each can be read`, async (t) => {
    const scripts = { start: 'cross-env A=1 node ./server.js', 'start:debug': 'node --enable-source-maps server.js --debug' };
    const dir = directory(t, {
      [name]: readFileSync(path.join(fixture('ecosystem-files'), name), 'utf8'), 'package.json': { name: 'found', scripts },
      'server.js': '', 'server.ts': '', 'jobs/index.js': '', 'jobs/check.cjs': '',
    });
    const { code, stdout, stderr } = await run(['import', 'pm2', name, '--json'], { cwd: dir });
    assert.equal(code, 0, stderr);
    const told = JSON.parse(stdout) as Told;
    assert.deepEqual(told.apps.map(({ title }) => title), titles);
    assert.equal(new Set(told.apps.map(({ file }) => file)).size, titles.length, 'a file each');
    assert.equal(told.skipped.length, skipped.length, told.skipped.join('\n'));
    for (const [index, line] of told.skipped.entries()) assert.match(line, skipped[index] as RegExp);
    for (const { file, title, config } of told.apps) {
      if (configs[title]) assert.deepEqual(config, { title, ...configs[title] });
      const read = await run(['config', '--config', path.basename(file)], { cwd: path.dirname(file) });
      assert.equal(read.code, 0, read.stderr);
    }
  });
}
