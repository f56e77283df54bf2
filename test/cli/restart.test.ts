import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { get, Sandbox, SERVER, until } from './sandbox.js';

test('restart: another master with the same arguments, from the same place, and the new code', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port, pid, log } = await sandbox.daemon('app', ['--title', 'mine', '-w', '2']);
  writeFileSync(path.join(dir, 'server.js'), SERVER.replace('BODY', 'NEW'));
  const { code, stdout, stderr } = await sandbox.run(['restart', '--title', 'mine'], { cwd: '/' });
  assert.equal(code, 0, stderr);
  assert.match(stdout, new RegExp(`mine stopped \\(pid ${pid}\\)\\nmine started on http://127\\.0\\.0\\.1:${port} \\(pid \\d+, `
    + `2 workers\\), log: ${log}\\n$`));
  assert.equal(await get(port), 'NEW');
  const status = await sandbox.status([dir]);
  assert.notEqual(status.master.pid, pid);
  assert.deepEqual([status.title, status.workers.length], ['mine', 2]);
});

test('a configuration that became wrong is told before anything is stopped', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port, pid } = await sandbox.daemon(dir);
  writeFileSync(path.join(dir, '.clusterrc'), '{"workres": 1}');
  const { code, stderr } = await sandbox.run(['restart', dir]);
  assert.equal(code, 2);
  assert.match(stderr, /workres.*workers/);
  assert.equal(await get(port), 'BODY');
  assert.equal((await sandbox.status([dir])).master.pid, pid);
});

test('new code that does not come up: its error and a code other than 0', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  await sandbox.daemon(dir);
  writeFileSync(path.join(dir, 'server.js'), 'throw new RangeError("new and broken");');
  const { code, stderr } = await sandbox.run(['restart', dir]);
  assert.equal(code, 1);
  assert.match(stderr, /RangeError: new and broken/);
});

test('an instance of the foreground becomes a daemon; nothing running is 1', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  assert.equal((await sandbox.run(['restart', dir])).code, 1);
  const master = sandbox.spawn(['start', dir, '-w', '1', '-p', '0']);
  await until(() => master.text.includes('app started on'));
  const { code } = await sandbox.run(['restart', dir]);
  assert.equal(code, 0);
  assert.equal(await master.ended, 0);
  assert.match(readFileSync(path.join(dir, 'logs', 'app.log'), 'utf8'), /app started on/);
});

test('a request that outlasts --timeout does not leave the place empty: the restart waits as long as the close may take', async (t) => {
  const sandbox = new Sandbox(t);
  const slow = "require('node:http').createServer((q, r) => { r.write('BO');"
    + "setTimeout(() => r.end('DY'), q.url === '/slow' ? 3000 : 0); })"
    + '.listen(process.env.PORT)';
  const dir = sandbox.app('app', { 'server.js': slow });
  const { port, pid } = await sandbox.daemon(dir);
  const answer = await fetch(`http://127.0.0.1:${port}/slow`);
  const { code, stderr } = await sandbox.run(['restart', dir, '--timeout', '500']);
  assert.equal(code, 0, stderr);
  assert.equal(await answer.text(), 'BODY');
  assert.notEqual((await sandbox.status([dir])).master.pid, pid);
});
