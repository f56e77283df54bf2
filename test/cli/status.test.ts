import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sandbox, until } from './sandbox.js';

test('status: a table for people, one JSON object for programs', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port, pid } = await sandbox.daemon(dir, ['-w', '2']);
  const { code, stdout } = await sandbox.run(['status', dir]);
  assert.equal(code, 0);
  const lines = stdout.split('\n');
  assert.equal(lines[0], `app  running  http://127.0.0.1:${port}`);
  assert.match(lines[1] ?? '', new RegExp(`^master pid ${pid}, up \\d+.*, rss [\\d.]+MB, hatchery \\d.*, node \\d`));
  assert.match(lines[3] ?? '', /^process +pid +state +gen +up +restarts +rss +cpu +loop delay +req\/s +conns +last exit$/);
  assert.match(lines[4] ?? '', /^worker#0 +\d+ +ready +1 /);
  assert.match(lines[5] ?? '', /^worker#1 +\d+ +ready +1 /);
  assert.doesNotMatch(stdout, /\u001b/);
  const json = await sandbox.run(['status', dir, '--json']);
  assert.equal(json.stdout.trim().split('\n').length, 1);
  const status = await sandbox.status([dir]);
  assert.deepEqual(Object.keys(status).filter((key) => [
    'title', 'state', 'address', 'version', 'node', 'startedAt', 'master', 'agent', 'workers', 'refork', 'lastReload',
  ].includes(key)).length, 11);
  for (const key of [
    'id', 'slot', 'pid', 'state', 'generation', 'startedAt', 'restarts', 'rss', 'cpu', 'eventLoopDelay', 'eventLoopUtilization', 'lastExit',
  ]) assert.ok(key in (status.workers[0] ?? {}), key);
});

test('status after a crash names the reason; colours only when they are wanted', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  await sandbox.daemon(dir);
  process.kill((await sandbox.status([dir])).workers[0]?.pid as number, 'SIGKILL');
  await until(async () => (await sandbox.status([dir])).workers.some(({ state, restarts }) => state === 'ready' && restarts === 1));
  assert.match((await sandbox.run(['status', dir])).stdout, /crash \(SIGKILL\) \S+ ago/);
  assert.match((await sandbox.run(['status', dir], { env: { FORCE_COLOR: '1', NO_COLOR: undefined } })).stdout,
    /\u001b\[32mrunning\u001b\[39m/);
});

test('status with no instance says so and ends with 1, also as JSON', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  for (const flags of [[], ['--json'], ['--watch']]) {
    const { code, stdout, stderr } = await sandbox.run(['status', dir, ...flags]);
    const told = flags.includes('--json') ? { error: { code: 'ERR_CLUSTER_NOT_RUNNING', message: stderr.trimEnd() } } : null;
    assert.deepEqual([code, stdout && JSON.parse(stdout) as unknown], [1, told ?? '']);
    assert.ok(stderr.startsWith(`no instance is running in ${dir}`), stderr);
  }
});

test('status of one that starts', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': 'setTimeout(() => {}, 60000);' });
  const master = sandbox.spawn(['start', dir, '-w', '1', '-p', '0']);
  await until(() => sandbox.files().some((name) => name.endsWith('.sock')));
  await until(async () => (await sandbox.status([dir])).state === 'starting');
  assert.match((await sandbox.run(['status', dir])).stdout, /^app {2}starting {2}no address yet\n/);
  master.kill('SIGTERM');
  assert.equal(await master.ended, 0);
});

test('status of one that closes says no longer that it has no address yet', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': `module.exports = ({ onClose }) => {
    onClose(() => new Promise((resolve) => setTimeout(resolve, 5000))); return (_, response) => response.end();
  };` });
  const { pid } = await sandbox.daemon(dir, ['-w', '1']);
  process.kill(pid, 'SIGTERM');
  await until(async () => (await sandbox.status([dir])).state === 'closing');
  assert.match((await sandbox.run(['status', dir])).stdout, /^app {2}closing {2}no address\n/);
  process.kill(pid, 'SIGTERM');
});

test('--watch goes on until Ctrl-C', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  await sandbox.daemon(dir);
  const watch = sandbox.spawn(['status', dir, '--watch']);
  await until(() => (watch.text.match(/^app {2}running/mg) ?? []).length >= 2);
  assert.doesNotMatch(watch.text, /\u001b/);
  watch.kill('SIGINT');
  assert.equal(await watch.ended, 0);
});
