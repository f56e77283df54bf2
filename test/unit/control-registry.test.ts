import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { beforeEach, test, type TestContext } from 'node:test';
import { Claim } from '../../lib/control/claim.js';
import { findInstances, listInstances, recordId, type InstanceInfo } from '../../lib/control/registry.js';
import { makeOwnPlace } from '../../lib/kit/own-places.js';
import { ownIdentity } from '../../lib/kit/processes.js';

let home = '';
let app = '';

beforeEach((t) => {
  home = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'hr-')));
  app = path.join(home, 'app');
  mkdirSync(app);
  writeFileSync(path.join(app, 'server.js'), '');
  const { HOME, XDG_RUNTIME_DIR, TMPDIR } = process.env;
  Object.assign(process.env, { HOME: home, XDG_RUNTIME_DIR: home, TMPDIR: home });
  (t as TestContext).after(() => {
    rmSync(home, { recursive: true, force: true });
    for (const [name, value] of Object.entries({ HOME, XDG_RUNTIME_DIR, TMPDIR })) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
});

const info = (title: string, dir = app): InstanceInfo =>
  ({ title, dir, target: dir, command: 'start', argv: [], execArgv: [], cwd: home, log: null });

/** Instances of this test: a real user's own ones are none of its business. */
const listed = async () => (await listInstances()).filter(({ dir }) => dir.startsWith(home)).map(({ title }) => title);

/** A pid that belongs to nobody. */
function deadPid(): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['-e', '0']);
    child.on('exit', () => resolve(child.pid as number));
  });
}

test('an instance is found by directory, entry file and title, and is gone after release', async () => {
  const one = await Claim.make(info('one'));
  assert.deepEqual(await listed(), ['one']);
  for (const query of [{ target: app }, { target: path.join(app, 'server.js') }, { target: app, title: 'one' }, { title: 'one' }]) {
    assert.deepEqual((await findInstances(query)).map(({ pid }) => pid), [process.pid]);
  }
  for (const query of [{ target: home }, { title: 'two' }, { target: app, title: 'two' }]) assert.deepEqual(await findInstances(query), []);
  const files = path.join(home, '.hatchery');
  assert.equal(statSync(files).mode & 0o777, 0o700);
  assert.equal(statSync(path.join(files, `${one.record.id}.json`)).mode & 0o777, 0o600);
  one.release();
  assert.equal(existsSync(files), false);
});

test('two titles of one app stand side by side; the same one twice is refused with the pid', async () => {
  const one = await Claim.make(info('one'));
  const two = await Claim.make(info('two'));
  await assert.rejects(Claim.make(info('one')), { code: 'ERR_CLUSTER_ALREADY_RUNNING', message: new RegExp(`pid ${process.pid}`) });
  one.release();
  assert.deepEqual(await listed(), ['two']);
  two.release();
});

test('the record of a dead master is cleaned up, its socket too, and does not stop a start', async () => {
  const dir = makeOwnPlace();
  const pid = await deadPid();
  const id = recordId(app, 'one');
  const socket = path.join(dir, `${id}.sock`);
  const leave = (startedTick: number, who = pid) => {
    makeOwnPlace();
    writeFileSync(path.join(dir, `${id}.json`), JSON.stringify({ ...info('one'), id, pid: who, startedTick, startedAt: '2020', socket }));
    writeFileSync(socket, '');
  };
  leave(1);
  assert.deepEqual(await listed(), []);
  assert.equal(existsSync(dir), false);
  leave(1);
  const one = await Claim.make(info('one'));
  assert.equal(one.record.pid, process.pid);
  one.release();
  // The number is in use again, by another process.
  leave((ownIdentity().startedTick ?? 0) + 1000, process.pid);
  assert.deepEqual(await listed(), []);
  assert.equal(existsSync(socket), false);
});

test('release leaves a successor\'s record alone', async () => {
  const one = await Claim.make(info('one'));
  const file = path.join(home, '.hatchery', `${one.record.id}.json`);
  writeFileSync(file, JSON.stringify({ ...one.record, pid: one.record.pid + 1 }));
  one.release();
  assert.ok(existsSync(file));
});

test('a link to another release does not hide the running one', async () => {
  const link = path.join(home, 'current');
  symlinkSync(app, link);
  const one = await Claim.make({ ...info('one'), target: link });
  const next = path.join(home, 'next');
  mkdirSync(next);
  rmSync(link);
  symlinkSync(next, link);
  assert.equal((await findInstances({ target: link })).length, 1);
  one.release();
});

test('an unreadable record is no obstacle', async () => {
  const dir = makeOwnPlace();
  writeFileSync(path.join(dir, `${recordId(app, 'one')}.json`), '{"pid":');
  const one = await Claim.make(info('one'));
  assert.equal((JSON.parse(readFileSync(path.join(dir, `${one.record.id}.json`), 'utf8')) as { pid: number }).pid, process.pid);
  one.release();
});

test('a directory that others may write, or a link, is not used', () => {
  const dir = path.join(home, '.hatchery');
  mkdirSync(dir);
  chmodSync(dir, 0o777);
  assert.notEqual(makeOwnPlace(), dir);
  rmSync(dir, { recursive: true });
  symlinkSync(app, dir);
  assert.notEqual(makeOwnPlace(), dir);
});

test('of many starts at once, over a stale record, exactly one gets through', async () => {
  const dir = makeOwnPlace();
  const id = recordId(app, 'one');
  const pid = await deadPid();
  const script = `
    import { Claim } from ${JSON.stringify(new URL('../../lib/control/claim.ts', import.meta.url).href)};
    process.on('message', () => {
      Claim.make(${JSON.stringify(info('one'))}).then(() => 'won', (error) => error.code).then((answer) => process.send(answer));
    });
    process.on('disconnect', () => process.exit());
    process.send('there');
  `;
  const starts = Array.from({ length: 6 }, () =>
    spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
  try {
    const next = () => Promise.all(starts.map((child) => new Promise<string>((resolve, reject) => {
      child.once('message', (answer) => resolve(String(answer))).once('exit', () => reject(new Error('ended')));
    })));
    await next();
    for (let round = 0; round < 3; round++) {
      writeFileSync(path.join(dir, `${id}.json`), JSON.stringify({
        ...info('one'), id, pid, startedTick: round, startedAt: '2020', socket: path.join(dir, `${id}.sock`),
      }));
      const answers = next();
      for (const child of starts) child.send('go');
      assert.deepEqual((await answers).sort(), [...Array<string>(5).fill('ERR_CLUSTER_ALREADY_RUNNING'), 'won']);
    }
  } finally {
    for (const child of starts) child.disconnect();
  }
});

test('a directory that is met by two paths, TMPDIR being a link to /tmp, holds each instance once', async (t) => {
  symlinkSync('/tmp', path.join(home, 'tmp'));
  Object.assign(process.env, { XDG_RUNTIME_DIR: path.join(home, 'nowhere'), TMPDIR: path.join(home, 'tmp') });
  const one = await Claim.make(info('one'));
  t.after(() => one.release());
  assert.deepEqual(await listed(), ['one']);
});

test('a master of 0.1.0 is found where it recorded itself, and no second one starts beside it', async () => {
  const old = path.join(home, 'hatchery');
  mkdirSync(old, { mode: 0o700 });
  const socket = path.join(old, '0123456789abcdef.sock');
  const record = { ...info('one'), ...ownIdentity(), id: '0123456789abcdef', startedAt: '2020', socket };
  writeFileSync(path.join(old, `${record.id}.json`), JSON.stringify(record), { mode: 0o600 });
  assert.deepEqual((await findInstances({ target: app })).map(({ socket: found }) => found), [socket]);
  await assert.rejects(Claim.make(info('one')), { code: 'ERR_CLUSTER_ALREADY_RUNNING' });
});

test('an instance that was started through a link is found by it, by where it led and where it leads; no second one starts', async (t) => {
  const link = path.join(home, 'current');
  const next = path.join(home, 'next');
  mkdirSync(next);
  symlinkSync(app, link);
  const one = await Claim.make({ ...info('one'), place: link, target: link });
  t.after(() => one.release());
  rmSync(link);
  symlinkSync(next, link);
  for (const target of [link, app, next]) assert.equal((await findInstances({ target })).length, 1, target);
  rmSync(app, { recursive: true });
  assert.equal((await findInstances({ target: app })).length, 1, 'also when that is gone');
  await assert.rejects(Claim.make({ ...info('one', next), place: link, target: link }), {
    code: 'ERR_CLUSTER_ALREADY_RUNNING', message: new RegExp(`already running in ${link} `),
  });
});
