import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { bin, freePort, node } from '../helpers/cluster.js';
import { unsuited } from '../helpers/skips.js';
import { get, Sandbox, until } from './sandbox.js';

/** The exit code of a command whose stdout nobody reads, from its first byte on. */
function unread(sandbox: Sandbox, args: string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(node, [bin, ...args], { cwd: sandbox.dir, env: sandbox.env, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`framework ${args.join(' ')} did not end`));
    }, 15_000);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stderr });
    });
  });
}

test('a closed stdout ends no command in the middle, and crashes none', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port } = await sandbox.daemon(dir);
  for (const args of [
    ['--help'], ['start', '--help'], ['--version'], ['config', dir], ['hooks', dir], ['status', dir], ['status', dir, '--watch'],
    ['logs', dir], ['logs', dir, '-f'], ['scale', '2', dir], ['reload', dir],
  ]) {
    assert.deepEqual(await unread(sandbox, args), { code: 0, stderr: '' }, args.join(' '));
  }
  assert.equal((await sandbox.status([dir])).workers[0]?.generation, 2);
  assert.equal(await get(port), 'BODY');
  assert.deepEqual(await unread(sandbox, ['stop', dir]), { code: 0, stderr: '' });
  assert.equal(await get(port), 'ECONNREFUSED');
});

const onLinux = { skip: process.platform !== 'linux' && unsuited.linux };
test('an answer that a full disk does not take is told, and no success', onLinux, async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  for (const args of [['config', dir], ['systemd', dir], ['kubernetes', dir, '--json']]) {
    const full = openSync('/dev/full', 'w');
    t.after(() => closeSync(full));
    const { status, stderr } = spawnSync(node, [bin, ...args], { cwd: sandbox.dir, env: sandbox.env, stdio: ['ignore', full, 'pipe'] });
    assert.match(String(stderr), /^standard output cannot be written: ENOSPC[^\n]*\n$/);
    assert.equal(status, 1);
  }
});

test('a master in the foreground outlives those who read its output', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': `require("node:http").createServer((_, response) => {
    console.log("asked"); console.error("asked"); response.end("BODY");
  }).listen(process.env.PORT);` });
  const port = await freePort();
  const master = sandbox.spawn(['start', dir, '-w', '1', '-p', String(port)]);
  await until(() => master.text.includes('app started on'));
  master.stdout?.destroy();
  master.stderr?.destroy();
  for (let n = 0; n < 5; n++) assert.equal(await get(port), 'BODY');
  assert.equal((await sandbox.run(['reload', dir])).code, 0);
  assert.equal(await get(port), 'BODY');
  assert.equal((await sandbox.run(['stop', dir])).code, 0);
  assert.equal(await master.ended, 0);
});
