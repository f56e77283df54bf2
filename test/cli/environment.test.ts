import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { test, type TestContext } from 'node:test';
import { bin, freePort, node, run } from '../helpers/cluster.js';
import { get, Sandbox, until } from './sandbox.js';

const SHOWS = 'require("node:http").createServer((_, response) => response.end(`${process.env.KEY} ${process.env.MORE}`))'
  + '.listen(process.env.PORT);';

async function shop(t: TestContext, given: Record<string, string>, args: string[] = []) {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SHOWS });
  const port = await freePort();
  const env = { PORT: String(port), ...given };
  const start = await sandbox.run(['start', dir, '--daemon', '-w', '1', ...args], { env, cwd: dir });
  assert.equal(start.code, 0, start.stderr);
  const says = async (args: string[], own: Record<string, string> = {}) => {
    const { code, stdout, stderr } = await sandbox.run([...args, dir], { env: own });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  return { sandbox, dir, port, env, says, answer: () => get(port) };
}

test('restart keeps the environment of the start, and says by name what differs in this shell', async (t) => {
  const { says, answer } = await shop(t, { KEY: 'first-secret' });
  const told = await says(['restart'], { KEY: 'second-secret', MORE: 'yes' });
  assert.match(told, /environment kept as at the start; in this shell changed KEY; new MORE; gone PORT \(--env-from-shell takes it\)/);
  assert.doesNotMatch(told, /secret/);
  assert.equal(await answer(), 'first-secret undefined');
  await says(['restart']);
  assert.equal(await answer(), 'first-secret undefined', 'and the next one as well');
});

test('restart --env-from-shell takes the shell\'s, and the next restart keeps that', async (t) => {
  const { says, answer, env } = await shop(t, { KEY: 'one' });
  assert.match(await says(['restart', '--env-from-shell'], { ...env, KEY: 'two', MORE: 'yes' }),
    /environment of this shell; since the start changed KEY; new MORE\n/);
  assert.equal(await answer(), 'two yes');
  await says(['restart']);
  assert.equal(await answer(), 'two yes');
});

test('reload --env-from-shell: what is changed and gone; later forks have it too, and a restart', async (t) => {
  const { sandbox, dir, says, answer, env } = await shop(t, { KEY: 'one', MORE: 'yes' });
  assert.match(await says(['reload', '--env-from-shell'], { PORT: env.PORT, KEY: 'two' }), /since the start changed KEY; gone MORE\n/);
  assert.equal(await answer(), 'two undefined');
  const { pid = 0 } = (await sandbox.status([dir])).workers[0] ?? {};
  process.kill(pid, 'SIGKILL');
  await until(async () => await answer() === 'two undefined' && (await sandbox.status([dir])).workers[0]?.pid !== pid);
  await says(['reload']);
  assert.equal(await answer(), 'two undefined');
  await says(['restart'], { KEY: 'three' });
  assert.equal(await answer(), 'two undefined');
});

test('a reload that is aborted leaves the environment as it was', async (t) => {
  const { sandbox, dir, answer, env } = await shop(t, { KEY: 'one' });
  writeFileSync(path.join(dir, 'server.js'), 'throw new Error("broken")');
  const { code } = await sandbox.run(['reload', '--env-from-shell', dir], { env: { ...env, KEY: 'two' } });
  assert.equal(code, 1);
  writeFileSync(path.join(dir, 'server.js'), SHOWS);
  const { pid = 0 } = (await sandbox.status([dir])).workers[0] ?? {};
  process.kill(pid, 'SIGKILL');
  await until(async () => (await sandbox.status([dir])).workers.some((one) => one.state === 'ready' && one.pid !== pid));
  assert.equal(await answer(), 'one undefined');
});

for (const [what, flags] of [['our flag', []], ['Node\'s own flag', ['--env-file=.env']]] as const) {
  test(`--env-file, ${what}: read again at each reload and restart, and what was given wins over it`, async (t) => {
    const sandbox = new Sandbox(t);
    const dir = sandbox.app('app', { 'server.js': SHOWS, '.env': 'KEY=one\nMORE=file\n' });
    const port = await freePort();
    const env = { ...sandbox.env, PORT: String(port), MORE: 'given' };
    const own = flags.length === 0 ? ['--env-file', '.env'] : [];
    const start = await run(['start', '-d', '-w', '1', ...own], { cwd: dir, env, execArgv: [...flags] });
    assert.equal(start.code, 0, start.stderr);
    assert.equal(await get(port), 'one given');
    for (const [command, key] of [['reload', 'two'], ['restart', 'three'], ['reload', 'four']] as const) {
      writeFileSync(path.join(dir, '.env'), `KEY=${key}\nMORE=file\n`);
      const { code, stderr } = await sandbox.run([command, dir], { env: { MORE: 'given' } });
      assert.equal(code, 0, stderr);
      assert.equal(await get(port), `${key} given`);
    }
    rmSync(path.join(dir, '.env'));
    for (const command of ['reload', 'restart']) {
      const { code, stderr } = await sandbox.run([command, dir]);
      assert.equal(code === 0, false);
      assert.match(stderr, /\.env/);
      assert.equal(await get(port), 'four given', 'nothing is touched');
    }
    const { pid = 0 } = (await sandbox.status([dir])).workers[0] ?? {};
    process.kill(pid, 'SIGKILL');
    await until(async () => (await sandbox.status([dir])).workers.some((one) => one.state === 'ready' && one.pid !== pid));
    assert.equal(await get(port), 'four given', 'a worker is forked again without the file');
  });
}

test('NODE_ENV of an env file counts at a start as in config; what a shell gave stays when the file said the same', async (t) => {
  const sandbox = new Sandbox(t);
  const shows = SHOWS.replace('process.env.MORE', 'process.env.NODE_ENV');
  const dir = sandbox.app('app', { 'server.js': shows, '.env': 'KEY=one\nNODE_ENV=staging\n' });
  const port = await freePort();
  const start = await sandbox.run(['start', '-d', '-w', '1', '--env-file', '.env'], { env: { PORT: String(port), KEY: 'one' }, cwd: dir });
  assert.equal(start.code, 0, start.stderr);
  assert.equal(await get(port), 'one staging');
  for (const command of ['reload', 'restart', 'reload']) {
    writeFileSync(path.join(dir, '.env'), command === 'restart' ? 'KEY=one\nNODE_ENV=staging\n' : 'KEY=other\n');
    const { code, stderr } = await sandbox.run([command, dir]);
    assert.equal(code, 0, stderr);
    assert.equal(await get(port), command === 'restart' ? 'one staging' : 'one production');
  }
});

test('no value of the environment is on disk or in anybody\'s arguments, and it is told on the private socket alone', async (t) => {
  const secret = `s3cr3t-${process.pid}`;
  const { sandbox, says, dir, port } = await shop(t, { KEY: secret });
  await says(['restart']);
  await says(['reload', '--env-from-shell'], { KEY: secret, PORT: String(port) });
  const files = (place: string): string[] => readdirSync(place, { withFileTypes: true })
    .flatMap((entry) => entry.isDirectory() ? files(path.join(place, entry.name)) : entry.isFile() ? [path.join(place, entry.name)] : []);
  for (const file of files(sandbox.dir)) assert.ok(!readFileSync(file).includes(secret), file);
  for (const pid of sandbox.processes()) assert.ok(!readFileSync(`/proc/${pid}/cmdline`).includes(secret));
  const { stdout } = await sandbox.run(['status', '--json', dir]);
  assert.ok(!stdout.includes(secret));
  const socket = sandbox.files().find((name) => name.endsWith('.sock')) as string;
  assert.equal(statSync(path.join(sandbox.dir, 'run', '.hatchery', socket)).mode & 0o077, 0);
});

test('another Node is told', async (t) => {
  const { sandbox, says, dir, env } = await shop(t, {});
  assert.doesNotMatch(await says(['restart']), /node: /);
  const other = path.join(sandbox.dir, 'other-node');
  copyFileSync(node, other);
  const { stdout } = await promisify(execFile)(other, [bin, 'restart', dir], { env: { ...sandbox.env, ...env } });
  assert.match(stdout, new RegExp(`node: v\\S+ \\(${node}\\) -> v\\S+ \\(${other}\\)\\n`));
});
