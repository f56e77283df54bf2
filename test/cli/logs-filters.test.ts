import assert from 'node:assert/strict';
import { appendFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { timestamp } from '../../lib/kit/logger.js';
import { Sandbox, until } from './sandbox.js';

const at = (minutesAgo: number): Date => new Date(Date.now() - minutesAgo * 60_000);
const head = (minutesAgo: number, level: string, pid: number, process: string, message: string): string =>
  `${timestamp(at(minutesAgo))} ${level} ${pid} [${process}] ${message}`;

const STACK = ['Error: no such user', '    at find (/app/users.js:3:7)', '  [cause] TypeError: nothing'];
const MASTER = head(90, 'INFO', 1, 'master', 'app_worker#1:11 (slot 0) started');
const WARNED = head(50, 'WARN', 11, 'worker#0', 'slow');
const FAILED = head(40, 'ERROR', 12, 'worker#1', 'it failed');
const ABOUT = head(30, 'ERROR', 1, 'master', 'app_worker#2:12 (slot 1) was ended by SIGKILL (crash) after 10ms');
const RAW = 'printed by the app itself';
const pino = (minutesAgo: number, level: number, pid: number, msg: string): string =>
  JSON.stringify({ level, time: at(minutesAgo).getTime(), pid, msg, id: 7 });
const OLD = pino(120, 50, 11, 'long ago');
const NEW = pino(5, 50, 11, 'just now');

/** An app that has run once, whose log is replaced by one of ours: one file rotated and compressed, one rotated, one in use. */
async function withLog(sandbox: Sandbox): Promise<{ dir: string; log: string }> {
  const dir = sandbox.app();
  const { log } = await sandbox.daemon(dir);
  await sandbox.run(['stop', dir]);
  writeFileSync(`${log}.20260101T000000000Z.gz`, gzipSync(`${[MASTER, OLD].join('\n')}\n`));
  writeFileSync(`${log}.20260101T000001000Z`, `${[WARNED, RAW].join('\n')}\n`);
  writeFileSync(log, `${[FAILED, ...STACK, ABOUT, NEW].join('\n')}\n`);
  return { dir, log };
}

test('logs: what was rotated comes first, also where the last lines are asked for', async (t) => {
  const sandbox = new Sandbox(t);
  const { dir, log } = await withLog(sandbox);
  const lines = async (...words: string[]) => (await sandbox.run(['logs', dir, ...words])).stdout.trimEnd().split('\n');
  const all = [MASTER, OLD, WARNED, RAW, FAILED, ...STACK, ABOUT, NEW];
  assert.deepEqual(await lines(), all);
  assert.deepEqual(await lines('-n', '2'), all.slice(-2));
  assert.deepEqual(await lines('-n', '8'), all.slice(-8));
  writeFileSync(log, '');
  assert.deepEqual(await lines('-n', '1'), [RAW]);
});

test('logs --level, --slot, --since, --grep: entries with their stacks, and what the master says of a slot', async (t) => {
  const sandbox = new Sandbox(t);
  const { dir } = await withLog(sandbox);
  const lines = async (...words: string[]) => {
    const { code, stdout } = await sandbox.run(['logs', dir, ...words]);
    assert.equal(code, 0);
    return stdout.split('\n').slice(0, -1);
  };
  assert.deepEqual(await lines('--level', 'error'), [OLD, FAILED, ...STACK, ABOUT, NEW]);
  assert.deepEqual(await lines('--level', 'warn', '-n', '3'), [FAILED, ...STACK, ABOUT, NEW]);
  assert.deepEqual(await lines('--slot', '0'), [MASTER, OLD, WARNED, NEW], 'a line that an app prints has no slot, its JSON has a pid');
  assert.deepEqual(await lines('--slot', '1'), [FAILED, ...STACK, ABOUT]);
  assert.deepEqual(await lines('--slot', 'master'), [MASTER, ABOUT]);
  assert.deepEqual(await lines('--since', '1h'), [WARNED, RAW, FAILED, ...STACK, ABOUT, NEW]);
  assert.deepEqual(await lines('--since', '45m', '--level', 'error', '--slot', '1'), [FAILED, ...STACK, ABOUT]);
  assert.deepEqual(await lines('--grep', 'users\\.js|just'), [FAILED, ...STACK, NEW]);
  assert.deepEqual(await lines('--grep', 'nowhere'), []);
});

test('logs --json: an object an entry', async (t) => {
  const sandbox = new Sandbox(t);
  const { dir } = await withLog(sandbox);
  const { stdout } = await sandbox.run(['logs', dir, '--json', '-n', '4']);
  const [raw, failed, about, now] = stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual([raw?.message, raw?.level, raw?.process], [RAW, 'INFO', undefined]);
  assert.deepEqual([failed?.level, failed?.pid, failed?.process, failed?.message], ['ERROR', 12, 'worker#1', 'it failed']);
  assert.equal(failed?.detail, STACK.join('\n'));
  assert.equal(new Date(String(failed?.time)).getTime(), new Date(FAILED.slice(0, 23).replace(' ', 'T').replace(',', '.')).getTime());
  assert.equal(about?.process, 'master');
  assert.deepEqual([now?.message, now?.process, now?.id], ['just now', 'worker#0', 7]);
});

test('logs -f with a filter follows, a stack comes with its line', async (t) => {
  const sandbox = new Sandbox(t);
  const { dir, log } = await withLog(sandbox);
  const tail = sandbox.spawn(['logs', dir, '-f', '--level', 'error', '-n', '1']);
  await until(() => tail.text === `${NEW}\n`);
  appendFileSync(log, `${WARNED}\n${FAILED}\n${STACK.join('\n')}\n`);
  await until(() => tail.text === `${[NEW, FAILED, ...STACK].join('\n')}\n`);
  tail.kill('SIGINT');
  assert.equal(await tail.ended, 0);
});

for (const [words, said] of [
  [['--slot', 'web'], '--slot: expected the number of a slot, "agent", "app" or "master", found "web"'],
  [['--level', 'eror'], '--level: expected debug, info, warn, error, found "eror", did you mean "error"?'],
  [['--since', 'noon'], '--since: expected a span such as 10m, 2h or 1d, a time such as 14:30, or a date, found "noon"'],
  [['--grep', '('], '--grep: Invalid regular expression: /(/: Unterminated group'],
] as const) {
  test(`logs ${words.join(' ')} is refused`, async (t) => {
    const sandbox = new Sandbox(t);
    const { code, stderr, stdout } = await sandbox.run(['logs', path.join(sandbox.dir, 'none'), ...words]);
    assert.deepEqual([code, stdout], [2, '']);
    assert.ok(stderr.startsWith(said), stderr);
  });
}
