import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Command } from '../../bin/command.js';
import { commands } from '../helpers/docs-tables.js';
import { Sandbox, SERVER, until } from './sandbox.js';

/** The one object that a command has answered with. */
const object = (stdout: string): Record<string, unknown> => {
  assert.match(stdout, /^\{[^]*\}\n$/);
  return JSON.parse(stdout) as Record<string, unknown>;
};

test('every command takes --json', () => {
  const without = [...commands].filter(([, command]) => {
    const one = new command([]);
    return !(one instanceof Command) || one.flags.json?.kind !== 'switch';
  });
  assert.deepEqual(without.map(([name]) => name), []);
});

test('--json: the life of a daemon, each answer one object and nothing beside it', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'agent.js': 'module.exports = () => {};', 'server.js': SERVER });
  const ask = async (args: string[]) => {
    const { code, stdout, stderr } = await sandbox.run([...args, '--json']);
    assert.deepEqual([code, stderr], [0, '']);
    return object(stdout);
  };
  const started = await ask(['start', dir, '--daemon', '-p', '0', '-w', '1']);
  assert.deepEqual(Object.keys(started), ['title', 'pid', 'address', 'workers', 'log']);
  assert.deepEqual([started.title, started.workers, started.log], ['app', 1, { out: `${dir}/logs/app.log`, err: `${dir}/logs/app.log` }]);
  const reloaded = await ask(['reload', dir]);
  assert.deepEqual([reloaded.title, reloaded.ok, reloaded.replaced, reloaded.generation], ['app', true, 1, 2]);
  assert.deepEqual(await ask(['scale', '2', dir]), { title: 'app', from: 1, to: 2 });
  assert.equal((await ask(['status', dir])).state, 'running');
  const again = await ask(['restart', dir]);
  assert.equal(again.title, 'app');
  assert.notEqual(again.pid, started.pid);
  const { took, ...stopped } = await ask(['stop', dir]);
  assert.deepEqual([stopped, typeof took], [{ stopped: true, title: 'app', pid: again.pid }, 'number']);
  assert.equal((await ask(['stop', dir, '--if-running'])).stopped, false);
  assert.match(String((await ask(['systemd', dir])).content), /^\[Service\]$/m);
  assert.equal((await ask(['config', dir])).profile, 'production');
});

test('--json: what goes wrong is an object with its code, and a line for people', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const wrong: [args: string[], code: string, exit: number][] = [
    [['stop', dir], 'ERR_CLUSTER_NOT_RUNNING', 1],
    [['scale', 'many', dir], 'ERR_CLUSTER_USAGE', 2],
    [['reload', dir, '--no-agnt'], 'ERR_CLUSTER_USAGE', 2],
    [['strat', dir], 'ERR_CLUSTER_USAGE', 2],
    [['start', `${dir}/none.js`], 'ERR_CLUSTER_APP_NOT_FOUND', 2],
    [['proxy-config', 'nginx', dir], 'ERR_CLUSTER_USAGE', 2],
  ];
  for (const [args, code, exit] of wrong) {
    const answer = await sandbox.run([...args, '--json']);
    const { error } = object(answer.stdout) as { error: { code: string; message: string } };
    assert.deepEqual([error.code, answer.code, answer.stderr], [code, exit, `${error.message}\n`]);
  }
});

test('--json: a daemon that does not start, a reload that is aborted: the error of the app is in it', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': 'throw new Error("no table called users");' });
  const failed = await sandbox.run(['start', dir, '--daemon', '-p', '0', '--json']);
  const { error } = object(failed.stdout) as { error: { code: string; detail: string } };
  assert.deepEqual([failed.code, error.code], [1, 'ERR_CLUSTER_START']);
  assert.match(error.detail, /no table called users[^]*server\.js:1/);
  const other = sandbox.app('other');
  await sandbox.daemon(other);
  writeFileSync(path.join(other, 'server.js'), 'throw new Error("no table called users");');
  const aborted = await sandbox.run(['reload', other, '--json']);
  const told = object(aborted.stdout) as { error: { code: string; detail: string } };
  assert.deepEqual([aborted.code, told.error.code], [1, 'ERR_CLUSTER_RELOAD_ABORTED']);
  assert.match(told.error.detail, /no table called users/);
});

for (const command of ['start', 'dev']) {
  test(`${command} --json in the foreground: every line of the log is an object`, async (t) => {
    const sandbox = new Sandbox(t);
    const dir = sandbox.app();
    const master = sandbox.spawn([command, dir, '-p', '0', '-w', '1', '--json']);
    await until(() => master.text.includes(' started on '));
    master.kill('SIGTERM');
    assert.equal(await master.ended, 0);
    for (const line of master.text.trimEnd().split('\n')) assert.equal(typeof JSON.parse(line), 'object', line);
  });
}
