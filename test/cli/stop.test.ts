import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { get, Sandbox, SERVER, until } from './sandbox.js';

/** Answers `/slow` after 3 s. */
const SLOW = `require('node:http').createServer((request, response) => {
  if (request.url === '/slow') setTimeout(() => response.end('SLOW'), 3000); else response.end('BODY');
}).listen(process.env.PORT);`;
/** Ignores everything, and has a child that does so too. */
const STUBBORN = `const { spawn } = require('node:child_process');
spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)'], { stdio: 'ignore' });
require('node:http').createServer((request, response) => {
  response.end('BODY'); if (request.url === '/hang') setImmediate(() => { for (;;); });
}).listen(process.env.PORT);`;

test('stop waits for a request in flight and says what it waits for', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SLOW });
  const { port, pid } = await sandbox.daemon(dir);
  const slow = fetch(`http://127.0.0.1:${port}/slow`).then((response) => response.text());
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { code, stdout } = await sandbox.run(['stop', dir]);
  assert.equal(await slow, 'SLOW');
  assert.equal(code, 0);
  assert.match(stdout, /closing 1 worker/);
  assert.match(stdout, /waiting for worker#0 \(pid \d+\): 1 request/);
  assert.match(stdout, new RegExp(`app stopped \\(pid ${pid}, \\d+ ms\\)\\n$`));
  assert.deepEqual(sandbox.files(), []);
});

test('stop of nothing: says so, and what else runs', async (t) => {
  const sandbox = new Sandbox(t);
  const [one, two] = [sandbox.app('one'), sandbox.app('two')];
  const none = await sandbox.run(['stop', one]);
  assert.equal(none.code, 1);
  assert.ok(none.stderr.startsWith(`no instance is running in ${one}`), none.stderr);
  const { pid } = await sandbox.daemon(two);
  const { code, stderr } = await sandbox.run(['stop', one, '--title', 'x']);
  assert.equal(code, 1);
  const others = `running: .*"two" in ${two} \\(pid ${pid}\\).*\n$`;
  assert.match(stderr, new RegExp(`^no instance with the title "x" is running in ${one}; ${others}`));
  assert.match((await sandbox.run(['stop', '--title', 'x'])).stderr, new RegExp(`^no instance with the title "x" is running; ${others}`));
});

test('stop --if-running: 0 where nothing runs, which is said; else as without it', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { code, stdout, stderr } = await sandbox.run(['stop', 'app', '--if-running']);
  assert.deepEqual([code, stdout, stderr], [0, `no instance is running in app (${dir})\n`, '']);
  await sandbox.daemon(dir);
  assert.match((await sandbox.run(['stop', 'app', '--if-running'])).stdout, /app stopped/);
  assert.deepEqual(sandbox.files(), []);
});

test('what happens is a line in the log once: the end of each process, the error of new code that does not start', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'agent.js': 'module.exports = () => {};', 'server.js': SERVER });
  const { log } = await sandbox.daemon(dir, ['-w', '2']);
  const { agent, workers } = await sandbox.status([dir]);
  writeFileSync(path.join(dir, 'server.js'), 'throw new Error("no table called users");');
  const { code, stderr } = await sandbox.run(['reload', dir]);
  assert.equal(code, 1);
  assert.match(stderr, /no table called users/);
  assert.equal((await sandbox.run(['stop', dir])).code, 0);
  const lines = readFileSync(log, 'utf8').split('\n');
  for (const { pid } of [agent!, ...workers]) {
    assert.equal(lines.filter((line) => line.includes(String(pid)) && /exited|gone/.test(line)).length, 1, lines.join('\n'));
  }
  assert.equal(lines.filter((line) => line === 'Error: no table called users').length, 1, lines.join('\n'));
});

test('a deadline that passes: 1 without --force, the whole tree killed with it', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': STUBBORN });
  const { port } = await sandbox.daemon(dir);
  assert.equal(await fetch(`http://127.0.0.1:${port}/hang`).then((response) => response.text()), 'BODY');
  const patient = await sandbox.run(['stop', dir, '--timeout', '700']);
  assert.equal(patient.code, 1);
  assert.match(patient.stderr, /^app \(pid \d+\) is still there after 700 ms; --force kills what is left\n$/);
  const forced = await sandbox.run(['stop', dir, '--timeout', '300', '--force']);
  assert.equal(forced.code, 0, forced.stderr);
  assert.match(forced.stdout, /still there, killing \d+ processes/);
  await until(() => sandbox.processes().length === 0);
  assert.deepEqual(sandbox.files(), []);
});

test('a master without its socket is stopped by a signal', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port } = await sandbox.daemon(dir);
  const socket = sandbox.files().find((name) => name.endsWith('.sock')) as string;
  rmSync(path.join(sandbox.dir, 'run', '.hatchery', socket));
  const status = await sandbox.run(['status', dir]);
  assert.equal(status.code, 1);
  assert.match(status.stderr, /^the master of "app" \(pid \d+\) has no control socket\n$/);
  assert.equal((await sandbox.run(['stop', dir])).code, 0);
  assert.equal(await get(port), 'ECONNREFUSED');
  assert.deepEqual(sandbox.files(), []);
});

test('a foreground instance is stopped too, and ends with 0', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const master = sandbox.spawn(['start', dir, '-w', '1', '-p', '0']);
  await until(() => master.text.includes('app started on'));
  assert.equal((await sandbox.run(['stop', dir])).code, 0);
  assert.equal(await master.ended, 0);
});
