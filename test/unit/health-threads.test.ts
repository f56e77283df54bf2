import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { directory } from '../helpers/config-dir.js';
import { threadsShort } from '../../plugins/health-check/threads.js';

const process = (uid: number, threads: number) => `Name:\tnode\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\nThreads:\t${threads}\n`;
const machine = (t: TestContext, limit: number | string, more: Record<string, string> = {}) => directory(t, {
  'proc/self/limits': `Limit                 Soft Limit           Hard Limit           Units
Max processes         ${limit}                   99                   processes\n`,
  'proc/self/cgroup': '0::/app\n',
  'proc/10/status': process(7, 11), 'proc/11/status': process(7, 20), 'proc/12/status': process(8, 500),
  ...more,
});

test('a user who has hardly a thread left, and one who has', (t) => {
  assert.equal(threadsShort(machine(t, 40), 7), '31 of 40 processes and threads of this user are in use (ulimit -u)');
  assert.equal(threadsShort(machine(t, 60), 7), null);
  assert.equal(threadsShort(machine(t, 'unlimited'), 7), null);
  assert.equal(threadsShort(machine(t, 40), 0), null, 'root has no such limit');
});

test('a container that has hardly one left', (t) => {
  const group = (max: string) => ({ 'sys/fs/cgroup/app/pids.max': max, 'sys/fs/cgroup/app/pids.current': '95\n' });
  assert.equal(threadsShort(machine(t, 9_999, group('100\n')), 0),
    '95 of 100 processes and threads of the container are in use (pids.max)');
  assert.equal(threadsShort(machine(t, 9_999, group('200\n')), 0), null);
  assert.equal(threadsShort(machine(t, 9_999, group('max\n')), 7), null);
});

test('a system that tells nothing', (t) => {
  assert.equal(threadsShort(directory(t), 7), null);
});
