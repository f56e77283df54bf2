import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { get, Sandbox, SERVER, until } from './sandbox.js';

const read = (file: string): string => existsSync(file) ? readFileSync(file, 'utf8') : '';
const count = (text: string, what: RegExp): number => text.match(new RegExp(what, 'g'))?.length ?? 0;

for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) {
  test(`${signal} opens a daemon's log files anew and does nothing else`, async (t) => {
    const sandbox = new Sandbox(t);
    const dir = sandbox.app();
    const { port, pid, log } = await sandbox.daemon(dir);
    const worker = (await sandbox.status([dir])).workers[0]?.pid;
    renameSync(log, `${log}.1`);
    process.kill(pid, signal);
    await until(() => read(log).includes(`receive signal ${signal}: log files are opened anew`));
    assert.match(read(log), /agent and workers hold theirs open themselves, and follow at the next reload/);
    process.kill(pid, signal);
    await until(() => count(read(log), /receive signal/) === 2);
    assert.doesNotMatch(read(log) + read(`${log}.1`), /Debugger|reloading|closing/);
    assert.equal((await sandbox.status([dir])).workers[0]?.pid, worker);
    assert.equal(await get(port), 'BODY');
  });

  test(`${signal} in the foreground, and to a worker: nothing ends, no debugger opens`, async (t) => {
    const sandbox = new Sandbox(t);
    const dir = sandbox.app();
    const master = sandbox.spawn(['start', dir, '-w', '1', '-p', '0']);
    await until(() => master.text.includes('app started on'));
    const worker = (await sandbox.status([dir])).workers[0]?.pid as number;
    master.kill(signal);
    await until(() => master.text.includes(`receive signal ${signal}: lines go to the output of the start`));
    if (signal === 'SIGUSR2') process.kill(worker, signal);
    assert.equal((await sandbox.status([dir])).workers[0]?.pid, worker);
    assert.doesNotMatch(master.text, /Debugger/);
  });
}

test('SIGHUP where the log directory is gone: it is made again, and the reload comes', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port, pid, log } = await sandbox.daemon(dir);
  rmSync(path.dirname(log), { recursive: true });
  process.kill(pid, 'SIGHUP');
  await until(() => read(log).includes('reloaded 1 workers'));
  assert.equal(await get(port), 'BODY');
});

test('reload opens the logs by the path of the start, which may lead to another release', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SERVER.replace("=> response", "=> console.log('asked for') ?? response") });
  const { port, log } = await sandbox.daemon(dir);
  renameSync(path.dirname(log), path.join(sandbox.dir, 'kept'));
  assert.equal((await sandbox.run(['reload', dir])).code, 0);
  await until(() => read(log).includes('reloaded 1 workers'));
  assert.match(read(log), /reloading 1 worker,/);
  // Workers write to it themselves.
  assert.equal(await get(port), 'BODY');
  await until(() => read(log).includes('asked for'));
});

for (const [what, spoil] of [
  ['a link to nowhere', (logs: string) => symlinkSync('/nowhere/at/all', logs)],
  ['a file', (logs: string) => writeFileSync(logs, '')],
] as const) {
  test(`SIGHUP where the log directory is ${what}: lines go on to the files that are open, said once`, async (t) => {
    const sandbox = new Sandbox(t);
    const dir = sandbox.app();
    const { port, pid, log } = await sandbox.daemon(dir);
    const kept = path.join(sandbox.dir, 'kept');
    renameSync(path.dirname(log), kept);
    spoil(path.dirname(log));
    const open = path.join(kept, path.basename(log));
    for (const times of [1, 2]) {
      process.kill(pid, 'SIGHUP');
      await until(() => count(read(open), /reloaded 1 workers/) === times);
    }
    assert.equal(count(read(open), /WARN .* log files cannot be opened/), 1);
    assert.equal(await get(port), 'BODY');
    rmSync(path.dirname(log));
    process.kill(pid, 'SIGUSR2');
    await until(() => read(log).includes('log files can be opened again'));
  });
}

test('of two log files both are opened anew, or none', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  for (const name of ['a', 'b']) mkdirSync(path.join(dir, name));
  const [out, err] = [path.join(dir, 'a', 'out.log'), path.join(dir, 'b', 'err.log')];
  const { pid } = await sandbox.daemon(dir, ['--stdout', out, '--stderr', err]);
  renameSync(out, `${out}.1`);
  renameSync(path.dirname(err), path.join(dir, 'c'));
  writeFileSync(path.dirname(err), '');
  process.kill(pid, 'SIGUSR2');
  await until(() => read(path.join(dir, 'c', 'err.log')).includes('log files cannot be opened'));
  await until(() => read(`${out}.1`).includes('lines go on to the log files that are open'));
  assert.equal(read(out), '');
});

for (const [lost, kept] of [['err', 'out'], ['out', 'err']] as const) {
  test(`of two log files ${lost} was removed and cannot be opened: it is said in ${kept}`, async (t) => {
    const sandbox = new Sandbox(t);
    const dir = sandbox.app();
    const files = { out: path.join(dir, 'out', 'log'), err: path.join(dir, 'err', 'log') };
    for (const file of Object.values(files)) mkdirSync(path.dirname(file));
    const { pid } = await sandbox.daemon(dir, ['--stdout', files.out, '--stderr', files.err]);
    rmSync(path.dirname(files[lost]), { recursive: true });
    writeFileSync(path.dirname(files[lost]), '');
    process.kill(pid, 'SIGUSR2');
    await until(() => /WARN .* log files cannot be opened: /.test(read(files[kept])));
    await until(() => read(files[kept]).includes('receive signal SIGUSR2: lines go on to the log files that are open'));
  });
}

test('as JSON every line is JSON, also those of a record that is made anew and of files that are not used', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SERVER, '.clusterrc': '{"log":{"format":"json"}}', '.clusterrc.json': '{}' });
  const { log } = await sandbox.daemon(dir);
  rmSync(path.join(sandbox.env.HOME as string, '.hatchery'), { recursive: true });
  await until(() => read(log).includes('made anew'));
  const lines = read(log).split('\n').filter(Boolean).map((line) => JSON.parse(line) as { time?: string; level: string; message: string });
  assert.ok(lines.every(({ time }) => time !== undefined));
  const warned = lines.filter(({ level }) => level === 'WARN').map(({ message }) => message);
  assert.equal(warned.filter((message) => /is not used|made anew/.test(message)).length, 2, warned.join('\n'));
});

test('a SIGHUP while the configuration loads asks for a reload; SIGUSR1 and SIGUSR2 for nothing', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', {
    'server.js': SERVER,
    'cluster.config.cjs': 'console.error("loading"); module.exports = new Promise((resolve) => setTimeout(resolve, 400, { workers: 1 }));',
  });
  const master = sandbox.spawn(['start', dir, '-p', '0']);
  await until(() => master.text.includes('loading'));
  for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) master.kill(signal);
  await until(() => master.text.includes('reloaded 1 workers'));
  assert.equal(master.exitCode, null);
  assert.doesNotMatch(master.text, /Debugger/);
});
