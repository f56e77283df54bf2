import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { freePort } from '../helpers/cluster.js';
import { unsuited } from '../helpers/skips.js';
import { get, Sandbox, SERVER, until } from './sandbox.js';

test('two apps, and one app under two titles, never touch each other', async (t) => {
  const sandbox = new Sandbox(t);
  const [one, two] = [sandbox.app('one'), sandbox.app('two')];
  const first = await sandbox.daemon(one);
  const blue = await sandbox.daemon(two, ['--title', 'blue']);
  const green = await sandbox.daemon(two, ['--title', 'green']);
  const both = await sandbox.run(['stop', two]);
  assert.equal(both.code, 2);
  assert.match(both.stderr, /^several instances match, say which one with --title: "blue" in .* \(pid \d+\), "green" in .* \(pid \d+\)\n$/);
  assert.equal((await sandbox.run(['stop', two, '--title', 'blue'])).code, 0);
  assert.deepEqual(await Promise.all([get(first.port), get(blue.port), get(green.port)]), ['BODY', 'ECONNREFUSED', 'BODY']);
  // A title alone is enough, and so is standing in the directory.
  assert.equal((await sandbox.run(['stop', '--title', 'green'])).code, 0);
  assert.equal((await sandbox.run(['stop'], { cwd: one })).code, 0);
  assert.deepEqual(await Promise.all([get(first.port), get(green.port)]), ['ECONNREFUSED', 'ECONNREFUSED']);
});

test('a second start of the same app is refused with the pid of the first, which is not touched', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port, pid } = await sandbox.daemon(dir);
  for (const flags of [[], ['--daemon']]) {
    const { code, stderr } = await sandbox.run(['start', dir, '-p', String(await freePort()), ...flags]);
    assert.equal(code, 1);
    assert.equal(stderr, `"app" is already running in ${dir} (pid ${pid}); stop it first, or give this one another --title\n`);
  }
  assert.equal(await get(port), 'BODY');
  assert.equal((await sandbox.status([dir])).master.pid, pid);
});

for (const [what, spoil] of [
  ['the directory with its record is gone', (file: string) => rmSync(path.dirname(file), { recursive: true })],
  ['its record is gone', (file: string) => rmSync(file)],
  ['its record was cut to nothing in place', (file: string) => truncateSync(file)],
] as const) {
  test(`${what}: a second start is refused all the same, and the first one found`, { skip: process.platform !== 'linux' && unsuited.linux },
    async (t) => {
      const sandbox = new Sandbox(t);
      const dir = sandbox.app();
      const { port, pid } = await sandbox.daemon(dir);
      const places = path.join(sandbox.env.HOME as string, '.hatchery');
      const record = path.join(places, readdirSync(places).find((name) => name.endsWith('.json')) as string);
      spoil(record);
      const { code, stderr } = await sandbox.run(['start', dir, '-p', String(await freePort()), '--daemon']);
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`already running in ${dir} \\(pid ${pid}\\)`));
      await until(() => existsSync(record));
      // It is looked at again at once, without a look in between.
      spoil(record);
      assert.equal((await sandbox.status([dir])).master.pid, pid);
      assert.equal(await get(port), 'BODY');
    });
}

test('of two starts at once one wins', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const starts = await Promise.all([1, 2, 3].map(async () => {
    const port = await freePort();
    return { port, ...await sandbox.run(['start', dir, '--daemon', '-w', '1', '-p', String(port)], { deadline: 40_000 }) };
  }));
  assert.deepEqual(starts.map(({ code }) => code).sort(), [0, 1, 1]);
  for (const { code, port } of starts) assert.equal(await get(port), code === 0 ? 'BODY' : 'ECONNREFUSED');
  assert.equal((await sandbox.status([dir])).state, 'running');
});

test('a master that was killed leaves nothing that matters: status says so, the next start works', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { pid } = await sandbox.daemon(dir);
  process.kill(pid, 'SIGKILL');
  await until(() => sandbox.processes().length === 0, 15_000);
  const status = await sandbox.run(['status', dir]);
  assert.equal(status.code, 1);
  assert.ok(status.stderr.startsWith(`no instance is running in ${dir}`), status.stderr);
  assert.deepEqual(sandbox.files(), []);
  await sandbox.daemon(dir);
});

test('an instance of an entry file is found by the file and by its directory', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'web.js': SERVER });
  const { pid } = await sandbox.daemon(path.join(dir, 'web.js'));
  assert.equal((await sandbox.status([path.join(dir, 'web.js')])).master.pid, pid);
  assert.equal((await sandbox.status([dir])).master.pid, pid);
});

test('where nothing can be written the server runs all the same, says so once, and a signal stops it', {
  skip: process.getuid?.() !== 0 && unsuited.root,
}, async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  chmodSync(sandbox.dir, 0o755);
  // A user whose every place for records is taken by something that is not his.
  const uid = 54_321;
  for (const taken of [`/tmp/hatchery-${uid}`, `/var/tmp/hatchery-${uid}`]) {
    writeFileSync(taken, '');
    t.after(() => rmSync(taken));
  }
  const port = await freePort();
  const master = sandbox.spawn(['start', dir, '-w', '1', '-p', String(port)], {
    env: { HOME: '/proc/1', XDG_RUNTIME_DIR: '/proc/1', TMPDIR: '/proc/1' }, uid,
  });
  await until(async () => await get(port) === 'BODY');
  await until(() => master.text.includes('started on'));
  const said = / WARN \d+ \[master\] no control socket, so stop, reload, scale and status will not find this instance: .*$/mg;
  assert.equal(master.text.match(said)?.length, 1);
  master.kill('SIGTERM');
  assert.equal(await master.ended, 0);
});
