import assert from 'node:assert/strict';
import { symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { freePort } from '../helpers/cluster.js';
import { get, Sandbox, until } from './sandbox.js';

/** Answers with what the process was started with, and what preloads had seen of that. */
const TELLING = `require('node:http').createServer((_, response) => response.end(JSON.stringify({
  argv: process.argv.slice(1), execArgv: process.execArgv, options: process.env.NODE_OPTIONS, first: globalThis.first,
}))).listen(process.env.PORT);\n`;
const EARLY = 'globalThis.first = [...globalThis.first ?? [], process.argv.slice(1)];\n';

interface Told { argv: string[]; execArgv: string[]; options?: string; first?: string[][] }

const told = async (port: number): Promise<Told> => JSON.parse(await get(port)) as Told;

test('what follows -- is the app\'s, whatever it looks like; a restart and a reload keep it', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': TELLING });
  const words = ['--tenant', 'a b', '', '-p', '1', 'start', '--', '007'];
  const { port } = await sandbox.daemon(dir, ['--', ...words]);
  assert.deepEqual((await told(port)).argv, [path.join(dir, 'server.js'), ...words]);
  assert.equal((await sandbox.run(['reload', dir])).code, 0);
  assert.deepEqual((await told(port)).argv.slice(1), words);
  const { code, stdout, stderr } = await sandbox.run(['restart', dir]);
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stdout + stderr, /tenant/, 'arguments may hold secrets');
  assert.deepEqual((await told(port)).argv.slice(1), words);
});

test('the key args, in dev too, texts all; the command line\'s take their place', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': TELLING, '.clusterrc': '{"args": ["--depth", 3, true, ""]}' });
  for (const [command, extra, words] of [['start', [], ['--depth', '3', 'true', '']], ['dev', ['--', '-x'], ['-x']]] as const) {
    const port = await freePort();
    const master = sandbox.spawn([command, dir, '-w', '1', '-p', String(port), ...extra]);
    await until(() => master.text.includes('app started on'));
    assert.deepEqual((await told(port)).argv, [path.join(dir, 'server.js'), ...words]);
    master.kill();
    await master.ended;
  }
});

test('argv[1] is what plain node gives, links kept, also before the app: --require, --import, NODE_OPTIONS', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': TELLING, 'early.cjs': EARLY, 'early.mjs': EARLY });
  const current = path.join(sandbox.dir, 'current');
  symlinkSync(dir, current);
  const port = await freePort();
  const NODE_OPTIONS = `--require "${path.join(dir, 'early.cjs')}"`;
  const preloads = ['--require', './app/early.cjs', '--import', './app/early.mjs'];
  const master = sandbox.spawn(['start', 'current/server.js', '-w', '1', '-p', String(port), ...preloads, '--', 'x'],
    { env: { NODE_OPTIONS } });
  await until(() => master.text.includes('started on'));
  const expected = [path.join(current, 'server.js'), 'x'];
  const { argv, first, options, execArgv } = await told(port);
  assert.deepEqual(argv, expected);
  assert.deepEqual(first, [expected, expected], 'a module that is required twice runs once');
  assert.equal(options, NODE_OPTIONS);
  assert.deepEqual(execArgv, ['--require', path.join(dir, 'early.cjs'), '--import', path.join(dir, 'early.mjs')]);
});

test('execArgv has the app\'s options, each once, and none of ours', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': TELLING });
  const plain = await sandbox.daemon(dir);
  assert.deepEqual((await told(plain.port)).execArgv, []);
  const own = await sandbox.daemon(sandbox.app('own', {
    'server.js': TELLING, '.clusterrc': '{"execArgv": ["--inspect-port=0", "--stack-trace-limit=20"]}',
  }));
  assert.deepEqual((await told(own.port)).execArgv, ['--inspect-port=0', '--stack-trace-limit=20']);
});

test('the agent has the same arguments', async (t) => {
  const sandbox = new Sandbox(t);
  const agent = 'console.log("agent has", JSON.stringify(process.argv.slice(1)));\n';
  const dir = sandbox.app('app', { 'server.js': TELLING, 'agent.js': agent });
  const master = sandbox.spawn(['start', dir, '-w', '1', '-p', '0', '--', 'one', 'two']);
  await until(() => master.text.includes('app started on'));
  assert.match(master.text, new RegExp(`agent has ${JSON.stringify([path.join(dir, 'agent.js'), 'one', 'two']).replaceAll('[', '\\[')}`));
});

test('config shows them without their secrets, a unit has them; wrong ones are one line', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const words = ['--', '--db-password', 'hunter2', '--token=hunter2', '--port', '80'];
  const { stdout } = await sandbox.run(['config', dir, ...words]);
  assert.match(stdout, /\["--db-password","\*\*\*","--token=\*\*\*","--port","80"\] +flag --\n/);
  assert.match((await sandbox.run(['systemd', dir, '--', 'a b'])).stdout, /^ExecStart=.* -- "a b"$/m);
  writeFileSync(path.join(dir, '.clusterrc'), '{"args": "--tenant a"}');
  const { code, stderr } = await sandbox.run(['start', dir]);
  assert.deepEqual([code, stderr], [2, '.clusterrc: args: expected a list of texts, found "--tenant a"\n']);
});
