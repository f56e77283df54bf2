import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { freePort } from '../helpers/cluster.js';
import { get, Sandbox, SERVER, until } from './sandbox.js';

test('start --daemon returns when all workers are ready, says where, and the daemon outlives it', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port, pid, log, output } = await sandbox.daemon(dir, ['-w', '2']);
  assert.equal(await get(port), 'BODY');
  assert.equal(log, path.join(dir, 'logs', 'app.log'));
  assert.equal(output, `app started on http://127.0.0.1:${port} (pid ${pid}, 2 workers), log: ${log}\n`);
  const status = await sandbox.status([dir]);
  assert.deepEqual([status.state, status.master.pid, status.workers.length], ['running', pid, 2]);
  assert.match(readFileSync(log, 'utf8'), /\[master\] app started on/);
  // The order to be a daemon is the master's alone.
  assert.ok(!readFileSync(`/proc/${status.workers[0]?.pid}/environ`, 'latin1').includes('HATCHERY_DAEMON'));
  const { code, stdout } = await sandbox.run(['stop', dir]);
  assert.equal(code, 0);
  assert.match(stdout, /app stopped \(pid \d+, \d+ ms\)\n$/);
  assert.deepEqual(sandbox.files(), []);
  await until(() => sandbox.processes().length === 0);
});

for (const [what, source, shown] of [
  ['throws', 'throw new RangeError("no such thing");', /RangeError: no such thing[\s\S]*server\.js:1/],
  ['rejects', 'Promise.reject(new TypeError("not today")); setTimeout(() => {}, 10000);', /TypeError: not today/],
  ['prints and exits', 'console.error("last words"); process.exit(7);', /last words[\s\S]*code 7/],
  ['has a syntax error', 'const = 3;', /SyntaxError[\s\S]*server\.js:1|server\.js:1[\s\S]*SyntaxError/],
] as const) {
  test(`an app that ${what}: its own error output, a code other than 0, nothing left`, async (t) => {
    const sandbox = new Sandbox(t);
    const dir = sandbox.app('app', { 'server.js': source });
    mkdirSync(path.join(dir, 'logs'));
    writeFileSync(path.join(dir, 'logs', 'app.log'), 'a line of yesterday\n');
    const { code, stdout, stderr } = await sandbox.run(['start', dir, '--daemon', '-w', '1', '-p', String(await freePort())]);
    assert.equal(code, 1);
    assert.match(stderr, shown);
    assert.match(stderr, /app did not start \(exit code 1\), log: .*app\.log\n$/);
    assert.doesNotMatch(stdout + stderr, /yesterday/);
    assert.deepEqual(sandbox.files(), []);
    await until(() => sandbox.processes().length === 0);
  });
}

test('what is wrong with the configuration is said by the launcher, and no log is made', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SERVER, '.clusterrc': '{"workres": 2}' });
  const { code, stderr } = await sandbox.run(['start', dir, '-d']);
  assert.equal(code, 2);
  assert.match(stderr, /workres.*workers/);
  assert.equal(existsSync(path.join(dir, 'logs')), false);
});

test('--stdout and --stderr name the files; one that cannot be written is refused', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': `console.log('to out'); console.error('to err');${SERVER}` });
  const out = path.join(sandbox.dir, 'a', 'out.log');
  const err = path.join(sandbox.dir, 'err.log');
  await sandbox.daemon(dir, ['--stdout', 'a/out.log', '--stderr', 'err.log']);
  await until(() => readFileSync(err, 'utf8').includes('to err'));
  assert.match(readFileSync(out, 'utf8'), /to out/);
  assert.doesNotMatch(readFileSync(out, 'utf8'), /to err/);
  const other = await sandbox.run(['start', dir, '-d', '--title', 'other', '--stdout', '/proc/nothing/x.log']);
  assert.equal(other.code, 2);
  assert.match(other.stderr, /^--stdout: cannot write \/proc\/nothing\/x\.log: .*\n$/);
});

test('a title with a scope makes one file; a directory that cannot be written leaves the log with the instance', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SERVER, 'package.json': '{"name":"@scope/app"}' });
  const { log } = await sandbox.daemon(dir);
  assert.equal(log, path.join(dir, 'logs', '@scope-app.log'));
  await sandbox.run(['stop', dir]);
  // Root may write where no permission says so: a file in the way of the directory stops everybody.
  renameSync(path.join(dir, 'logs'), path.join(dir, 'old'));
  writeFileSync(path.join(dir, 'logs'), '');
  chmodSync(dir, 0o555);
  const second = await sandbox.daemon(dir);
  assert.match(second.log, new RegExp(`^${sandbox.dir}/run/\\.hatchery/\\w+\\.log$`));
  assert.match(readFileSync(second.log, 'utf8'), /started on/);
  chmodSync(dir, 0o755);
});

test('a daemon that was ordered to start goes on when its launcher is killed', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': `setTimeout(() => { ${SERVER} }, 1000);` });
  const port = await freePort();
  const launcher = sandbox.spawn(['start', dir, '-d', '-w', '1', '-p', String(port)]);
  await until(() => sandbox.files().some((name) => name.endsWith('.sock')));
  launcher.kill('SIGKILL');
  await until(async () => await get(port) === 'BODY');
  assert.equal((await sandbox.status([dir])).state, 'running');
});

test('Ctrl-C at the launcher takes the start back', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': 'setTimeout(() => {}, 60000);' });
  const launcher = sandbox.spawn(['start', dir, '-d', '-w', '1', '-p', String(await freePort())]);
  await until(() => sandbox.files().some((name) => name.endsWith('.sock')));
  launcher.kill('SIGINT');
  assert.notEqual(await launcher.ended, 0);
  await until(() => sandbox.processes().length === 0 && sandbox.files().length === 0);
});
