import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { unsuited } from '../helpers/skips.js';
import { get, Sandbox, until } from './sandbox.js';

/** A server that numbers its lines, on both outputs, and prints some by itself, others when it is asked. */
const PRINTER = `
const { CLUSTER_SLOT: slot, PORT } = process.env;
const fs = require('node:fs');
let n = 0;
const line = () => 'w' + slot + ' ' + process.pid + ' ' + n++ + ' ' + 'x'.repeat(n % 200);
const one = () => n % 7 === 0 ? console.error(line()) : n % 11 === 0 ? fs.writeSync(1, line() + '\\n') : console.log(line());
const print = () => { for (let i = 0; i < 20; i++) one(); };
const timer = setInterval(print, 5);
process.on('exit', () => console.log('w' + slot + ' ' + process.pid + ' ' + n + ' end'));
require('node:http').createServer((request, response) => {
  if (request.url === '/quiet') clearInterval(timer);
  if (request.url === '/stuck') setImmediate(() => { console.log('stuck'); for (;;); });
  if (request.url === '/torn') process.stdout.write('no end of this line');
  response.end(request.url === '/quiet' ? String(n) : 'BODY');
}).listen(PORT);
`;

const app = (sandbox: Sandbox, rotate: object, more: object = {}): string => sandbox.app('app', {
  'server.js': PRINTER, '.clusterrc': JSON.stringify({ log: { rotate }, ...more }),
});

/** Names of the log's files, the oldest first. */
function files(log: string): string[] {
  const folder = path.dirname(log);
  const names = readdirSync(folder).filter((name) => name.startsWith(`${path.basename(log)}.`)).sort();
  return [...names, path.basename(log)].map((name) => path.join(folder, name));
}

const textOf = (file: string): string => (file.endsWith('.gz') ? gunzipSync(readFileSync(file)) : readFileSync(file)).toString();
const all = (log: string): string => files(log).map(textOf).join('');

/** What each process has printed, in the order of the files. */
function printed(log: string): { numbers: Map<string, number[]>; ended: Set<string>; strange: string[] } {
  const result = { numbers: new Map<string, number[]>(), ended: new Set<string>(), strange: [] as string[] };
  for (const line of all(log).split('\n').filter(Boolean)) {
    const [, pid = '', n, rest] = /^w\d (\d+) (\d+) (x*|end)$/.exec(line) ?? [];
    if (n === undefined) {
      if (!/^\d{4}-\d\d-\d\d /.test(line)) result.strange.push(line);
      continue;
    }
    const numbers = result.numbers.get(pid) ?? [];
    numbers.push(Number(n));
    result.numbers.set(pid, numbers);
    if (rest === 'end') result.ended.add(pid);
  }
  return result;
}

function assertWhole(log: string, { sorted = true } = {}): void {
  const { numbers, strange } = printed(log);
  assert.deepEqual(strange, []);
  for (const [pid, found] of numbers) {
    const inOrder = found.toSorted((a, b) => a - b);
    if (sorted) assert.deepEqual(found, inOrder, `the lines of ${pid} are in order`);
    assert.deepEqual(inOrder, Array.from(found, (_, index) => index), `no line of ${pid} is lost or doubled`);
  }
}

test('rotated by size through reloads: every line once, in order, no file larger, no line cut', { timeout: 60_000 }, async (t) => {
  const sandbox = new Sandbox(t);
  const dir = app(sandbox, { size: '50KB', keep: 5_000 });
  const { log } = await sandbox.daemon(dir, ['-w', '2']);
  for (let n = 0; n < 5; n++) assert.equal((await sandbox.run(['reload', dir])).code, 0);
  await sandbox.run(['stop', dir]);
  assertWhole(log);
  assert.equal(printed(log).numbers.size, 12);
  assert.equal(printed(log).ended.size, 12, 'the last words of each');
  const made = files(log);
  t.diagnostic(`${made.length} files`);
  assert.ok(made.length > 20, `${made.length} files`);
  for (const file of made) assert.ok(textOf(file).length <= 50 * 1024, `${file} has ${textOf(file).length} bytes`);
});

test('of old files so many are kept, compressed, and that with the lines of the start', { timeout: 60_000 }, async (t) => {
  const sandbox = new Sandbox(t);
  const dir = app(sandbox, { size: 20_000, keep: 3, gzip: true });
  const { log } = await sandbox.daemon(dir);
  const seen = new Set<string>();
  await until(() => files(log).forEach((file) => seen.add(file.replace(/\.gz$/, ''))) ?? seen.size > 20, 30_000);
  await sandbox.run(['stop', dir]);
  const kept = files(log);
  const [first] = kept;
  assert.match(textOf(first as string), /\[master\] app started on/);
  assert.ok(kept.length <= 6, kept.join('\n'));
  assert.ok(kept.filter((file) => file.endsWith('.gz')).length >= 3, kept.join('\n'));
});

test('SIGUSR2 after somebody else moved the file: what workers print goes to the new one too', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = app(sandbox, { size: '100MB' });
  const { pid, log } = await sandbox.daemon(dir);
  renameSync(log, `${log}.1`);
  process.kill(pid, 'SIGUSR2');
  await until(() => existsSync(log) && /^w0 /m.test(textOf(log)));
  assert.match(textOf(log), /receive signal SIGUSR2: log files are opened anew, for what agent and workers print too/);
  await sandbox.run(['stop', dir]);
  assertWhole(log);
});

test('a stopped master: workers answer and print on, to the file itself, and nothing is lost', {
  timeout: 60_000, skip: process.platform === 'win32' && unsuited.linux,
}, async (t) => {
  const sandbox = new Sandbox(t);
  const dir = app(sandbox, { size: '200KB', keep: 5_000 }, { balance: 'os' });
  const { pid, port, log } = await sandbox.daemon(dir);
  process.kill(pid, 'SIGSTOP');
  const last = () => Math.max(...[...printed(log).numbers.values()].flat());
  const before = last();
  await until(() => last() > before + 6_000, 30_000);
  assert.equal(await get(port), 'BODY');
  process.kill(pid, 'SIGCONT');
  await sandbox.run(['stop', dir]);
  assertWhole(log, { sorted: false });
});

test('a killed master: what workers print on their way out is in the file', { timeout: 30_000 }, async (t) => {
  const sandbox = new Sandbox(t);
  const dir = app(sandbox, { size: '200KB', keep: 5_000 });
  const { pid, port, log } = await sandbox.daemon(dir);
  const count = Number(await (await fetch(`http://127.0.0.1:${port}/quiet`)).text());
  await until(() => [...printed(log).numbers.values()][0]?.length === count);
  process.kill(pid, 'SIGKILL');
  await until(() => printed(log).ended.size === 1);
  assert.match(all(log), /\[worker#0\] the master is gone, exiting with code:110/);
  assertWhole(log);
});

test('a killed worker: its last lines are there, before what is said of its end', { timeout: 30_000 }, async (t) => {
  const sandbox = new Sandbox(t);
  const dir = app(sandbox, { size: '200KB', keep: 5_000 });
  const { port, log } = await sandbox.daemon(dir);
  const worker = (await sandbox.status([dir])).workers[0]?.pid as number;
  await fetch(`http://127.0.0.1:${port}/stuck`);
  await until(() => /^stuck$/m.test(all(log)));
  process.kill(worker, 'SIGKILL');
  await until(() => all(log).includes('was ended by SIGKILL'));
  assert.match(all(log), /\nstuck\n.*was ended by SIGKILL/);
  await sandbox.run(['stop', dir]);
});

test('a line without an end is written after a moment, and ended with its process', { timeout: 30_000 }, async (t) => {
  const sandbox = new Sandbox(t);
  const dir = app(sandbox, { size: '100MB' });
  const { port, log } = await sandbox.daemon(dir);
  await fetch(`http://127.0.0.1:${port}/quiet`);
  await fetch(`http://127.0.0.1:${port}/torn`);
  await until(() => all(log).endsWith('no end of this line'));
});

test('without log.rotate, and in the foreground with it, children have the output itself', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = app(sandbox, { size: '20KB' });
  const master = sandbox.spawn(['start', dir, '-p', '0', '-w', '1']);
  await until(() => /^w0 \d+ 3000 /m.test(master.text));
  assert.deepEqual(readdirSync(dir).sort(), ['.clusterrc', 'server.js']);
});
