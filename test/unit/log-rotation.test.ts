import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { LogFiles, rotatedFrom, type Rotation } from '../../lib/kit/log-files.js';

const LATE = new Date(2026, 10, 25, 23, 59, 59, 900).getTime();

/** A log with its clock at a moment before midnight of a Wednesday. */
function open(t: TestContext, rotation: Partial<Rotation>, { before = '', now = LATE } = {}) {
  t.mock.timers.enable({ apis: ['Date'], now });
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hr-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'app.log');
  writeFileSync(file, before);
  const yesterday = new Date(LATE - 24 * 3_600_000);
  utimesSync(file, yesterday, yesterday);
  const files = new LogFiles({ out: file, err: file }, { keep: 10, gzip: false, ...rotation });
  files.reopen();
  const troubles: string[] = [];
  files.trouble = (text) => troubles.push(text);
  const write = (line: string): void => {
    files.makeRoom('out', line.length + 1);
    writeSync(files.output.out, `${line}\n`);
  };
  return { dir, file, files, write, troubles };
}

const texts = (file: string): string[] => [...rotatedFrom(file), file].map((one) => readFileSync(one, 'utf8'));

test('a new day begins a new file with the first line that comes in it', (t) => {
  const { file, write } = open(t, { every: 'day' });
  write('late');
  t.mock.timers.tick(200);
  assert.deepEqual(texts(file), ['late\n']);
  write('early');
  write('early, too');
  assert.deepEqual(texts(file), ['late\n', 'early\nearly, too\n']);
  t.mock.timers.tick(23 * 3_600_000);
  write('same day');
  assert.equal(texts(file).length, 2);
  t.mock.timers.tick(3_600_000);
  write('next day');
  assert.equal(texts(file).length, 3);
});

test('a week begins on Monday, an hour with its clock', (t) => {
  const weekly = open(t, { every: 'week' });
  weekly.write('Wednesday');
  t.mock.timers.setTime(new Date(2026, 10, 29, 23, 0).getTime());
  weekly.write('Sunday');
  t.mock.timers.setTime(new Date(2026, 10, 30, 0, 1).getTime());
  weekly.write('Monday');
  assert.deepEqual(texts(weekly.file), ['Wednesday\nSunday\n', 'Monday\n']);
  t.mock.timers.reset();
  const hourly = open(t, { every: 'hour' });
  hourly.write('before');
  t.mock.timers.tick(200);
  hourly.write('after');
  assert.deepEqual(texts(hourly.file), ['before\n', 'after\n']);
});

test('what nobody rotated, as nobody ran at midnight, is rotated at the start', (t) => {
  const { file, write } = open(t, { every: 'day' }, { before: 'yesterday\n' });
  write('today');
  assert.deepEqual(texts(file), ['yesterday\n', 'today\n']);
});

test('by size: before a line that would not fit; a longer line has a file for itself', (t) => {
  const { file, write } = open(t, { size: 1024 });
  write('a'.repeat(600));
  write('b'.repeat(600));
  write('c'.repeat(2_000));
  write('d');
  assert.deepEqual(texts(file).map((text) => text[0]), ['a', 'b', 'c', 'd']);
});

test('pieces are cut where a line ends', (t) => {
  const { files, file } = open(t, { size: 1024 }, { before: 'x'.repeat(1_000) });
  const bytes = Buffer.from(`${'1'.repeat(9)}\n${'2'.repeat(9)}\n${'3'.repeat(2_000)}\n4\n`);
  const pieces: number[] = [];
  for (let rest = bytes; rest.length > 0;) {
    const length = files.room('out', rest);
    writeSync(files.output.out, rest.subarray(0, length));
    rest = rest.subarray(length);
    pieces.push(length);
  }
  assert.deepEqual(pieces, [20, 2_001, 2]);
  assert.equal(texts(file).join(''), 'x'.repeat(1_000) + bytes.toString());
});

test('what cannot be rotated is said, and written on; tried again after a minute', (t) => {
  const { dir, file, write, troubles } = open(t, { size: 1024 });
  write('a'.repeat(1_000));
  const moved = `${dir}-moved`;
  renameSync(dir, moved);
  t.after(() => rmSync(moved, { recursive: true, force: true }));
  // In place of the folder there is a file.
  writeFileSync(dir, '');
  write('b'.repeat(1_000));
  write('c');
  assert.equal(troubles.length, 1);
  assert.match(troubles[0] ?? '', /app\.log cannot be rotated: .*; lines go on to the file that is open$/);
  assert.equal(readFileSync(path.join(moved, 'app.log'), 'utf8').length, 1_001 + 1_001 + 2);
  rmSync(dir);
  mkdirSync(dir);
  t.mock.timers.tick(60_000);
  write('d');
  assert.deepEqual(texts(file), ['d\n']);
});

test('who has moved the file away himself gets no second one', (t) => {
  const { dir, file, write } = open(t, { size: 1024 });
  write('a'.repeat(1_000));
  renameSync(file, `${file}.1`);
  write('b'.repeat(1_000));
  assert.deepEqual(readdirSync(dir).sort(), ['app.log', 'app.log.1']);
});

test('/dev/null and a pipe\'s name are never rotated: children write there themselves', () => {
  const files = new LogFiles({ out: os.devNull, err: os.devNull }, { size: 1024, keep: 1, gzip: false });
  assert.equal(files.throughMaster, null);
  files.reopen();
  files.makeRoom('out', 5_000);
  assert.equal(typeof files.stdio().out, 'number');
});
