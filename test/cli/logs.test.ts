import assert from 'node:assert/strict';
import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Sandbox, until } from './sandbox.js';

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}\n`).join('');

test('logs prints everything, or the last lines', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { log } = await sandbox.daemon(dir);
  assert.match((await sandbox.run(['logs', dir])).stdout, /\[master\] app started on/);
  writeFileSync(log, numbers(1, 20_000));
  assert.equal((await sandbox.run(['logs', dir])).stdout, numbers(1, 20_000));
  assert.equal((await sandbox.run(['logs', dir, '-n', '3'])).stdout, numbers(19_998, 20_000));
  assert.equal((await sandbox.run(['logs', dir, '--lines', '15000'])).stdout, numbers(5_001, 20_000));
  assert.equal((await sandbox.run(['logs', dir, '-n', '0'])).stdout, '');
  assert.equal((await sandbox.run(['logs', dir, '-n', '30000'])).stdout, numbers(1, 20_000));
  appendFileSync(log, 'no newline');
  assert.equal((await sandbox.run(['logs', dir, '-n', '2'])).stdout, 'line 20000\nno newline');
});

test('logs -f follows across rotation and truncation, until Ctrl-C', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { log, pid } = await sandbox.daemon(dir);
  writeFileSync(log, 'one\n');
  const tail = sandbox.spawn(['logs', dir, '-f', '-n', '1']);
  await until(() => tail.text === 'one\n');
  appendFileSync(log, 'two\n');
  await until(() => tail.text === 'one\ntwo\n');
  renameSync(log, `${log}.1`);
  appendFileSync(`${log}.1`, 'late\n');
  process.kill(pid, 'SIGHUP');
  // Nothing of the reload comes behind what is written next.
  await until(() => /late\n.*\[master\] .*reloaded 1 workers/s.test(tail.text));
  truncateSync(log);
  await new Promise((resolve) => setTimeout(resolve, 500));
  appendFileSync(log, 'three\n');
  await until(() => tail.text.endsWith('three\n'));
  tail.kill('SIGINT');
  assert.equal(await tail.ended, 0);
});

test('logs of the last run, when nothing runs any more; none at all is 1', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const none = await sandbox.run(['logs', dir]);
  assert.equal(none.code, 1);
  assert.ok(none.stderr.startsWith(`no instance is running in ${dir}`), none.stderr);
  await sandbox.daemon(dir);
  await sandbox.run(['stop', dir]);
  const last = await sandbox.run(['logs', dir]);
  assert.equal(last.code, 0);
  assert.match(last.stdout, /exit with code:0/);
});

test('a log file that is gone is said, with what makes it anew, and is 1; with -f it may come', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { log, pid } = await sandbox.daemon(dir);
  rmSync(log);
  const { code, stdout, stderr } = await sandbox.run(['logs', dir]);
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /^there is no log file .*: it was removed, or moved away; `framework reload` and SIGHUP make it anew\n$/);
  const tail = sandbox.spawn(['logs', dir, '-f']);
  await until(() => tail.text.includes('there is no log file'));
  process.kill(pid, 'SIGUSR2');
  await until(() => tail.text.includes('receive signal SIGUSR2'));
  tail.kill('SIGINT');
  assert.equal(await tail.ended, 0);
});

test('an instance of the foreground has no log of ours', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const master = sandbox.spawn(['start', dir, '-w', '1', '-p', '0']);
  await until(() => master.text.includes('app started on'));
  const { code, stderr } = await sandbox.run(['logs', dir]);
  assert.equal(code, 1);
  assert.equal(stderr, `app (pid ${master.pid}) is no daemon: its log goes where it was started\n`);
});
