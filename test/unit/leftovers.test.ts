import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { Logger } from '../../lib/kit/logger.js';
import { inTable, type MarkedProcess } from '../../lib/kit/marked-processes.js';
import { Leftovers } from '../../lib/master/processes/leftovers.js';
import { turns } from '../helpers/fake-forker.js';

/** A table of processes, and what was sent to them. */
function machine(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const table = new Map<number, MarkedProcess & { stubborn?: boolean }>();
  const sent: string[] = [];
  /** Who has called a command of ours, and that command: all up to the number that it tells. */
  const callers: { pid: number; startedTick: number }[] = [];
  let looks = 0;
  const logger = new Logger({ label: 'test', level: 'silent', format: 'text', output: { write() {} } });
  const said: string[] = [];
  logger.info = (line) => { said.push(line); };
  const leftovers = new Leftovers(logger, {
    callers: (pid) => Promise.resolve(callers.filter((one) => one.pid <= pid)),
    find: (_variable, wanted) => {
      looks++;
      return Promise.resolve([...table.values()].filter(({ mark, pid }) => wanted(mark, pid)));
    },
    isRunning: ({ pid, startedTick }) => table.get(pid)?.startedTick === startedTick,
    signal: (pid, name) => {
      sent.push(`${name} ${pid}`);
      if (name === 'SIGKILL' || !table.get(pid)?.stubborn) table.delete(pid);
      return true;
    },
  });
  return {
    leftovers, table, sent, said, callers,
    get looks() { return looks; },
    leave: (mark: string, pid: number, more: object = {}) => table.set(pid, { pid, startedTick: pid, mark, command: 'helper', ...more }),
    async pass(ms: number) {
      for (let step = 0; step < ms; step += 50) {
        now += 50;
        t.mock.timers.tick(50);
        await turns(2);
      }
    },
  };
}

test('a look for all that end together; SIGTERM at once, nothing more once it is gone', async (t) => {
  const { leftovers, leave, sent, said, pass } = machine(t);
  const marks = [0, 1, 2].map((slot) => leftovers.mark(`worker#${slot}`)) as [string, string, string];
  leave(marks[0], 10);
  leave(marks[1], 20);
  leave(marks[1], 21);
  leave(marks[2], 30);
  leftovers.ended(marks[0]);
  leftovers.ended(marks[1]);
  await pass(200);
  assert.deepEqual(sent, ['SIGTERM 10', 'SIGTERM 20', 'SIGTERM 21'], 'the third one lives, and what it has started is its own');
  assert.deepEqual(said.map((line) => /^\S+ has left (a process|\d processes)/.exec(line)?.[0]),
    ['worker#0 has left a process', 'worker#1 has left 2 processes']);
  await pass(20_000);
  assert.equal(sent.length, 3);
});

test('SIGKILL after 5 s, to the same process alone', async (t) => {
  const { leftovers, leave, table, sent, pass } = machine(t);
  const mark = leftovers.mark('worker#0');
  leave(mark, 10, { stubborn: true });
  leave(mark, 11, { stubborn: true });
  leftovers.ended(mark);
  await pass(4_900);
  assert.deepEqual(sent, ['SIGTERM 10', 'SIGTERM 11']);
  // Another process has its number now.
  table.set(11, { pid: 11, startedTick: 999, mark: 'somebody else', command: 'innocent' });
  await pass(400);
  assert.deepEqual(sent.slice(2), ['SIGKILL 10']);
  assert.ok(table.has(11));
});

test('one that ends while another one\'s 5 s run is looked after at once', async (t) => {
  const { leftovers, leave, sent, pass } = machine(t);
  const [one, two] = [leftovers.mark('worker#0'), leftovers.mark('worker#1')];
  leave(one, 10, { stubborn: true });
  leave(two, 20);
  leftovers.ended(one);
  await pass(2_000);
  leftovers.ended(two);
  await pass(300);
  assert.deepEqual(sent, ['SIGTERM 10', 'SIGTERM 20']);
  await pass(3_000);
  assert.deepEqual(sent.slice(2), ['SIGKILL 10']);
});

test('what it starts in its last moment goes too', async (t) => {
  const { leftovers, leave, table, sent, pass } = machine(t);
  const mark = leftovers.mark('agent');
  leave(mark, 10);
  leftovers.ended(mark);
  await pass(200);
  leave(mark, 11);
  leftovers.ended(leftovers.mark('worker#0'));
  await pass(300);
  assert.deepEqual(sent, ['SIGTERM 10', 'SIGTERM 11']);
  assert.equal(table.size, 0);
});

test('many exits cost few looks', async (t) => {
  const state = machine(t);
  for (let at = 0; at < 100; at++) {
    state.leftovers.ended(state.leftovers.mark('worker#0'));
    await state.pass(50);
  }
  assert.ok(state.looks <= 60, `${state.looks} looks in 5 s`);
  const before = state.looks;
  await state.pass(10_000);
  assert.ok(state.looks <= before + 1);
});

test('a table as ps prints it: by mark and process group, with what the marked have started', () => {
  const table = [
    '    1     0     1 /sbin/launchd',
    '  500     1   500 node framework.js PATH=/bin HATCHERY_CHILD=outer:1:worker#0',
    '  510     1   500 node helper.js --mode=fast HOME=/Users/x HATCHERY_CHILD=fam:3:worker#1 PATH=/bin',
    '  511   510   500 sleep 100',
    '  512     1   512 node detached.js HATCHERY_CHILD=fam:3:worker#1',
    '  513     1   500 node living.js HATCHERY_CHILD=fam:4:worker#0',
    '  514     1   500 vi HATCHERY_CHILDREN=fam:3:worker#1',
  ].join('\n');
  const found = inTable(table, 500, 'HATCHERY_CHILD', (mark) => mark === 'fam:3:worker#1');
  assert.deepEqual(found.map(({ pid, command }) => [pid, command]), [[510, 'node helper.js --mode=fast'], [511, 'sleep 100']]);
});

test('a command of ours and who has called it are left alone, by stop and kill alike, for ten minutes after its order', async (t) => {
  const { leftovers, leave, callers, sent, pass } = machine(t);
  const mark = leftovers.mark('worker#0');
  for (const pid of [10, 11, 20]) leave(mark, pid);
  callers.push({ pid: 10, startedTick: 10 }, { pid: 11, startedTick: 11 });
  await leftovers.spare(11);
  assert.deepEqual([10, 11, 20].map(leftovers.isSpared), [true, true, false]);
  leftovers.ended(mark);
  await pass(10_000);
  assert.deepEqual(sent, ['SIGTERM 20']);
  leave(mark, 10, { startedTick: 99 });
  assert.equal(leftovers.isSpared(10), false, 'another process has its number');
  await pass(600_000);
  leftovers.ended(leftovers.mark('worker#1'));
  await pass(1_000);
  assert.deepEqual(sent, ['SIGTERM 20', 'SIGTERM 10', 'SIGTERM 11']);
});
