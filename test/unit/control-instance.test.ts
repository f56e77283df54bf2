import assert from 'node:assert/strict';
import {
  chmodSync, chownSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, renameSync, rmSync, statSync, symlinkSync,
  unlinkSync, writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { beforeEach, test, type TestContext } from 'node:test';
import type { InstanceFiles, Status } from '../../lib/api/control.js';
import type { Controlled } from '../../lib/control/server.js';
import { ControlClient } from '../../bin/client.js';
import { Instance } from '../../bin/instance.js';
import { findInstances, type InstanceInfo } from '../../lib/control/registry.js';
import { eventually } from '../helpers/eventually.js';

const LOOK = 20;
const root = process.getuid?.() === 0;
let home = '';
let app = '';

beforeEach((t) => {
  home = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'hi-')));
  app = path.join(home, 'app');
  mkdirSync(app);
  const before = Object.fromEntries(['HOME', 'XDG_RUNTIME_DIR', 'TMPDIR'].map((name) => [name, process.env[name]]));
  Object.assign(process.env, { HOME: home, XDG_RUNTIME_DIR: home, TMPDIR: home });
  (t as TestContext).after(() => {
    rmSync(home, { recursive: true, force: true });
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
});

const master = { status: async () => ({ title: 'one' }) as Status, routes: [], onProgress: () => () => {} } as unknown as Controlled;

async function instance(t: TestContext): Promise<{ one: Instance; said: string[]; moved: InstanceFiles[]; dir: string }> {
  const info: InstanceInfo = {
    title: 'one', dir: app, place: app, target: app, command: 'start', argv: [], execArgv: [], cwd: home, log: null,
  };
  const said: string[] = [];
  const moved: InstanceFiles[] = [];
  const one = await Instance.enter(info, (line) => said.push(line), LOOK);
  one.onMoved = (files) => moved.push(files);
  t.after(() => one.close());
  await one.serve(master);
  return { one, said, moved, dir: path.dirname(one.record!.socket) };
}

/** It is found, answers, and all of it is for its user alone. */
async function isWhole(): Promise<boolean> {
  const [record] = await findInstances({ target: app });
  if (!record) return false;
  const answer = await new ControlClient(record).status().catch(() => null);
  if (!answer) return false;
  const { socket } = record;
  return (lstatSync(socket).mode & 0o777) === 0o600 && (lstatSync(path.dirname(socket)).mode & 0o777) === 0o700;
}

const losses: Record<string, (dir: string, files: InstanceFiles) => void> = {
  'the socket': (_, { socket }) => unlinkSync(socket),
  'the record': (_, { record }) => unlinkSync(record),
  'both': (_, { record, socket }) => [record, socket].forEach((file) => unlinkSync(file)),
  'the directory with all in it': (dir) => rmSync(dir, { recursive: true }),
  'the directory, and one of ours that others may read is there instead': (dir) => {
    rmSync(dir, { recursive: true });
    mkdirSync(dir, { mode: 0o755 });
  },
  'the socket, and a plain file is there instead': (_, { socket }) => {
    unlinkSync(socket);
    writeFileSync(socket, '');
  },
  'the record, and what cannot be read is there instead': (_, { record }) => {
    unlinkSync(record);
    symlinkSync('/nowhere', record);
  },
};

for (const [what, lose] of Object.entries(losses)) {
  test(`what a cleaner takes is made anew where it was: ${what}`, async (t) => {
    const { one, said, dir } = await instance(t);
    assert.equal(await isWhole(), true);
    lose(dir, one.files!);
    await eventually(isWhole);
    assert.equal(path.dirname(one.record!.socket), dir);
    await one.close();
    assert.equal(existsSync(dir), false, 'nothing is left');
    assert.ok(said.length <= 1, said.join('\n'));
  });
}

const traps: Record<string, (dir: string) => void> = {
  'a link': (dir) => {
    mkdirSync(`${dir}-trap`, { mode: 0o700 });
    symlinkSync(`${dir}-trap`, dir);
  },
  'one that others may write to': (dir) => {
    mkdirSync(dir);
    chmodSync(dir, 0o777);
  },
  'a file': (dir) => writeFileSync(dir, ''),
  ...(root ? {
    'another user\'s': (dir: string) => {
      mkdirSync(dir, { mode: 0o755 });
      chownSync(dir, 54_321, 54_321);
    },
  } : {}),
};

for (const [what, put] of Object.entries(traps)) {
  test(`a directory in its place that is not ours alone is not trusted: ${what}`, async (t) => {
    const { one, moved, said, dir } = await instance(t);
    renameSync(dir, `${dir}-old`);
    put(dir);
    await eventually(isWhole);
    const now = path.dirname(one.record!.socket);
    assert.notEqual(now, dir);
    assert.deepEqual(moved.map(({ socket }) => path.dirname(socket)), [now], 'the reaper is told');
    assert.equal(said.length, 1);
    assert.deepEqual(lstatSync(dir).isDirectory() ? readdirSync(dir) : [], [], 'nothing is written there');
    await one.close();
    assert.equal(existsSync(one.files!.record), false);
  });
}

test('while nothing is lost nothing is written, and what is written from time to time keeps it young', async (t) => {
  const { one, said, dir } = await instance(t);
  const { record } = one.files!;
  const before = [statSync(dir), lstatSync(one.record!.socket), statSync(record)].map(({ ctimeMs, ino }) => [ctimeMs, ino]);
  await new Promise((resolve) => setTimeout(resolve, LOOK * 10));
  assert.deepEqual([statSync(dir), lstatSync(one.record!.socket), statSync(record)].map(({ ctimeMs, ino }) => [ctimeMs, ino]), before);
  assert.deepEqual(said, []);
});

test('another master that has taken the place meanwhile keeps it', async (t) => {
  const { one, dir } = await instance(t);
  const { record, socket } = one.files!;
  unlinkSync(record);
  unlinkSync(socket);
  // A process that lives, as a record has it: our parent.
  const other = JSON.stringify({ ...one.record, pid: process.ppid, startedTick: null });
  writeFileSync(record, other, { mode: 0o600 });
  await new Promise((resolve) => setTimeout(resolve, LOOK * 10));
  assert.equal(existsSync(socket), false);
  assert.deepEqual(readdirSync(dir), [path.basename(record)]);
  await one.close();
  assert.ok(existsSync(record));
});
