import assert from 'node:assert/strict';
import { existsSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { bin, freePort } from '../helpers/cluster.js';
import { get, Sandbox, until } from './sandbox.js';

const write = (dir: string, file: string, text: string): void => writeFileSync(path.join(dir, file), text);

/** A daemon whose port stands in its configuration. */
async function running(t: TestContext): Promise<{ sandbox: Sandbox; dir: string; port: number; pid: number }> {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const port = await freePort();
  write(dir, '.clusterrc', JSON.stringify({ port }));
  const { code, stdout, stderr } = await sandbox.run(['start', dir, '--daemon', '-w', '1']);
  assert.equal(code, 0, stderr);
  return { sandbox, dir, port, pid: Number(/pid (\d+)/.exec(stdout)?.[1]) };
}

/** A port that somebody else has. */
async function taken(t: TestContext): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(0, resolve); });
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
}

type Spoil = (dir: string, port: number, t: TestContext) => void | Promise<void>;

const config = (make: (port: number, t: TestContext) => object | Promise<object>): Spoil => async (dir, port, t) =>
  write(dir, '.clusterrc', JSON.stringify({ port, ...await make(port, t) }));
const code = (text: string): Spoil => (dir) => {
  rmSync(path.join(dir, '.clusterrc'));
  write(dir, 'cluster.config.cjs', text);
};

const CASES: [what: string, exit: number, says: RegExp, spoil: Spoil][] = [
  ['a wrong key', 2, /workres: unknown key, did you mean "workers"/, config(() => ({ workres: 1 }))],
  ['a wrong option of a plugin', 2, /plugins\.health-check\.maxRequest: unknown option, did you mean "maxRequests"/,
    config(() => ({ plugins: { 'health-check': { maxRequest: 1 } } }))],
  ['a cron expression that is none', 2, /plugins\.health-check\.cron: expected a cron expression/,
    config(() => ({ plugins: { 'health-check': { cron: 'now and then' } } }))],
  ['a plugin that is not installed', 2, /plugins\.absent: .*no package of that name/, config(() => ({ plugins: { absent: true } }))],
  ['a plugin that fails in apply', 2, /plugin "mine" failed in apply: no such luck/,
    code('module.exports = { plugins: [{ name: "mine", apply() { throw new Error("no such luck"); } }] };')],
  ['a port that somebody else has', 1, /\.clusterrc: port: port \d+ is taken by another process/,
    config(async (_, t) => ({ port: await taken(t) }))],
  ['a health port that somebody else has', 1, /plugins\.health-check\.port: port \d+ is taken/,
    config(async (_, t) => ({ plugins: { 'health-check': { host: '::', port: await taken(t) } } }))],
  ['an address of another machine', 1, /\.clusterrc: host: 203\.0\.113\.9 is no address of this machine/,
    config(() => ({ host: '203.0.113.9' }))],
  ['a metrics port that is the app\'s own', 1, /plugins\.metrics\.port: port \d+ is wanted twice, as .*\.clusterrc: port has it/,
    config((port) => ({ plugins: { metrics: { port } } }))],
  ['a health port that is the app\'s own, on all addresses', 1, /plugins\.health-check\.port: port \d+ is wanted twice/,
    config((port) => ({ plugins: { 'health-check': { port, host: '0.0.0.0' } } }))],
  ['one port for two plugins', 1, /port: port \d+ is wanted twice, as .*plugins\.(?:metrics|health-check)\.port has it/,
    config(async () => {
      const port = await freePort();
      return { plugins: { 'metrics': { port }, 'health-check': { port, host: '0.0.0.0' } } };
    })],
  ['a flag that Node does not know', 2, /\.clusterrc: execArgv: no worker would start: .*--nope/,
    config(() => ({ execArgv: ['--nope'] }))],
  ['a preload that is not there', 2, /execArgv: no worker would start: .*Cannot find module/,
    config(() => ({ execArgv: ['-r', './absent.cjs'] }))],
  ['Node options that Node does not take', 2, /env\.NODE_OPTIONS: no worker would start: .*--nope is not allowed/,
    config(() => ({ env: { NODE_OPTIONS: '--nope' } }))],
  ['an inspector on the app\'s port', 1, /inspect \(inspector of the master\): port \d+ is wanted twice/,
    config((port) => ({ inspect: port }))],
  ['a worker\'s inspector on the app\'s port', 1, /execArgv \(inspector of worker#0\): port \d+ is wanted twice/,
    config((port) => ({ execArgv: [`--inspect=${port}`] }))],
  ['a worker\'s inspector on a port that somebody else has', 1, /execArgv \(inspector of worker#0\): port \d+ is taken/,
    config(async (_, t) => ({ execArgv: ['--inspect', `--inspect-port=0.0.0.0:${await taken(t)}`] }))],
  ['an app that is gone', 2, /nothing to run in/, (dir) => rmSync(path.join(dir, 'server.js'))],
  ['a configuration that never settles', 2, /goes on/, code('module.exports = new Promise(() => {});')],
];

for (const [what, exit, says, spoil] of CASES) {
  test(`restart is refused before the stop: ${what}`, async (t) => {
    const { sandbox, dir, port, pid } = await running(t);
    await spoil(dir, port, t);
    const result = await sandbox.run(['restart', dir]);
    assert.equal(result.code, exit, result.stderr);
    assert.match(result.stderr, says);
    assert.match(result.stderr, new RegExp(`app \\(pid ${pid}\\) goes on`));
    assert.doesNotMatch(result.stderr, /\n {4}at .*core\.cjs/, 'no stack of ours');
    assert.equal((await sandbox.status([dir])).master.pid, pid);
    assert.equal(await get(port), 'BODY');
  });
}

test('a title that another instance has is found before the stop, and a place that is gone', async (t) => {
  const { sandbox, dir, port, pid } = await running(t);
  assert.equal((await sandbox.run(['start', dir, '--daemon', '-w', '1', '-p', '0', '--title', 'other'])).code, 0);
  write(dir, '.clusterrc', JSON.stringify({ port, title: 'other' }));
  const clash = await sandbox.run(['restart', '--title', 'app']);
  assert.equal(clash.code, 1);
  assert.match(clash.stderr, /"other" is already running/);
  write(dir, '.clusterrc', JSON.stringify({ port }));
  renameSync(dir, `${dir}.moved`);
  const moved = await sandbox.run(['restart', '--title', 'app']);
  assert.equal(moved.code, 2);
  assert.match(moved.stderr, /no such directory or file/);
  assert.equal((await sandbox.status(['--title', 'app'])).master.pid, pid);
  assert.equal(await get(port), 'BODY');
});

test('the directory that it was started in is gone', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const from = sandbox.app('from', {});
  const { code: started } = await sandbox.run(['start', dir, '-d', '-w', '1', '-p', '0'], { cwd: from });
  assert.equal(started, 0);
  rmSync(from, { recursive: true });
  const { code: exit, stderr } = await sandbox.run(['restart', dir]);
  assert.equal(exit, 1);
  assert.match(stderr, /the directory that it was started in is gone: .*from; app \(pid \d+\) goes on/);
});

test('where its bin is gone that of the command is taken, if it is the same program', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const links = ['framework', 'another'].map((name) => path.join(sandbox.dir, name));
  for (const link of links) {
    symlinkSync(bin, link);
    const started = sandbox.spawnNode([link, 'start', dir, '-d', '-w', '1', '-p', '0']);
    assert.equal(await started.ended, 0, started.text);
    rmSync(link);
    const { code: exit, stdout, stderr } = await sandbox.run(['restart', dir]);
    if (link.endsWith('framework')) assert.match(stdout, /framework is gone, taking .*framework\.js\n/);
    else assert.match(stderr, /what it was started with is gone: .*another; app \(pid \d+\) goes on/);
    assert.equal(exit, link.endsWith('framework') ? 0 : 1);
    await sandbox.run(['stop', dir]);
  }
});

test('where its bin is of a version that knows no rehearsal, that of the command is taken', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const link = path.join(sandbox.dir, 'framework');
  symlinkSync(bin, link);
  const started = sandbox.spawnNode([link, 'start', dir, '-d', '-w', '1', '-p', '0']);
  assert.equal(await started.ended, 0, started.text);
  rmSync(link);
  write(sandbox.dir, 'framework', 'JSON.parse(process.env.HATCHERY_DAEMON);');
  const { code: exit, stdout, stderr } = await sandbox.run(['restart', dir]);
  assert.match(stdout, /framework is of an older version, taking .*framework\.js\n/);
  assert.equal(exit, 0, stderr);
  assert.equal(stderr, '');
});

test('log files: a directory that is gone is made, a place that cannot be written is told before the stop', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { log } = await sandbox.daemon(dir);
  rmSync(path.dirname(log), { recursive: true });
  assert.equal((await sandbox.run(['restart', dir])).code, 0);
  assert.ok(existsSync(log));
  rmSync(path.dirname(log), { recursive: true });
  symlinkSync('/nowhere/at/all', path.dirname(log));
  const elsewhere = await sandbox.run(['restart', dir]);
  assert.equal(elsewhere.code, 0, elsewhere.stderr);
  assert.match(elsewhere.stdout, new RegExp(`log: ${sandbox.dir}/run/`));
  await sandbox.run(['stop', dir]);

  const deep = path.join(dir, 'a', 'b');
  sandbox.app('app/a/b', {});
  const { pid } = await sandbox.daemon(dir, ['--stdout', path.join(deep, 'out.log')]);
  rmSync(path.dirname(deep), { recursive: true });
  const refused = await sandbox.run(['restart', dir]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, new RegExp(`--stdout: cannot write .*out\\.log: ENOENT[^]*app \\(pid ${pid}\\) goes on`));
});

test('what systemd runs is left to systemd', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const asService = 'process.env.SYSTEMD_EXEC_PID = String(process.pid);'
    + `process.argv.splice(1, 0, ${JSON.stringify(bin)}); require(${JSON.stringify(bin)});`;
  const service = sandbox.spawnNode(['-e', asService, 'start', dir, '-w', '1', '-p', '0']);
  await until(() => service.text.includes('app started on'));
  const { code: exit, stderr } = await sandbox.run(['restart', dir]);
  assert.equal(exit, 1);
  assert.match(stderr, /goes on: systemd runs it/);
  assert.equal(service.exitCode, null);
});

test('a restart of what listens on more than it is told, or elsewhere, is not refused for that', async (t) => {
  const sandbox = new Sandbox(t);
  const [own, health] = [await freePort(), await freePort()];
  const dir = sandbox.app('app', { 'server.js': `require('node:http').createServer((_, r) => r.end('own')).listen(${own});` });
  write(dir, '.clusterrc', JSON.stringify({ plugins: { 'health-check': { port: health } } }));
  const { pid } = await sandbox.daemon(dir);
  const { code: exit, stderr } = await sandbox.run(['restart', dir]);
  assert.equal(exit, 0, stderr);
  assert.notEqual((await sandbox.status([dir])).master.pid, pid);
  assert.equal(await get(own), 'own');
});

test('a restart of what has its health port and its inspectors is not refused for those', async (t) => {
  const sandbox = new Sandbox(t);
  const [health, inspect] = [await freePort(), await freePort()];
  const dir = sandbox.app();
  const plugins = { 'health-check': { port: health }, 'metrics': { port: health, host: '127.0.0.2' } };
  write(dir, '.clusterrc', JSON.stringify({ inspect, plugins }));
  const { pid, port } = await sandbox.daemon(dir);
  const { code: exit, stderr } = await sandbox.run(['restart', dir]);
  assert.equal(exit, 0, stderr);
  assert.notEqual((await sandbox.status([dir])).master.pid, pid);
  assert.equal(await get(port), 'BODY');
});
