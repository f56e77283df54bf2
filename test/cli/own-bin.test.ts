import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fixture, freePort, node, root, type RunResult } from '../helpers/cluster.js';
import { get, Sandbox } from './sandbox.js';

/** The fixture's bin, installed as npm does it: hatchery beside it in node_modules. */
function install(sandbox: Sandbox): (args: string[]) => Promise<Pick<RunResult, 'code' | 'stdout' | 'stderr'>> {
  const modules = path.join(sandbox.dir, 'node_modules');
  mkdirSync(modules);
  symlinkSync(root, path.join(modules, 'hatchery'));
  const copy = path.join(sandbox.dir, 'own');
  mkdirSync(copy);
  for (const name of ['package.json', 'bin.js', 'framework']) symlinkSync(path.join(fixture('own-bin'), name), path.join(copy, name));
  return (args) => new Promise((resolve) => {
    const child = spawn(node, ['--preserve-symlinks', '--preserve-symlinks-main', path.join(copy, 'bin.js'), ...args], {
      cwd: sandbox.dir, env: sandbox.env, stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

test('a framework extends the commands: fixed values, flags and commands of its own', async (t) => {
  const sandbox = new Sandbox(t);
  const mine = install(sandbox);
  const help = await mine(['--help']);
  assert.match(help.stdout, /My framework\.[\s\S]*bin <command>[\s\S]*bin start +run an app of mine[\s\S]*bin greet +greet/);
  assert.deepEqual(await mine(['greet', 'world']), { code: 0, stdout: 'hello world\n', stderr: '' });
  assert.equal((await mine(['gret'])).stderr, 'unknown command "gret", did you mean "greet"?\n');
  assert.equal((await mine(['start', '--greting', 'x'])).stderr, '--greting: unknown flag, did you mean "--greeting"?\n');
  assert.match((await mine(['start', '--help'])).stdout, /--greeting .*default: hello/);

  for (const args of [['--version'], ['start', '--version'], ['status', '-v']]) assert.equal((await mine(args)).stdout, '3.2.1\n');

  const dir = sandbox.app('app', { 'package.json': '{"name":"app"}' });
  const port = await freePort();
  const started = await mine(['start', dir, '-d', '-p', String(port), '--greeting', 'hi']);
  assert.equal(started.code, 0, started.stderr);
  assert.match(started.stdout, /1 worker\)/);
  assert.equal(await get(port), 'hi from mine');
  // The same bin and its own flags, again.
  const again = await mine(['restart', dir]);
  assert.equal(again.code, 0, again.stderr);
  assert.equal(await get(port), 'hi from mine');
  assert.equal((await mine(['stop', dir])).code, 0);
});
