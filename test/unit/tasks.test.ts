import assert from 'node:assert/strict';
import test from 'node:test';
import { ClusterError } from '../../lib/kit/errors.js';
import { Faults } from '../../lib/kit/faults.js';
import { Logger } from '../../lib/kit/logger.js';
import { Tasks } from '../../lib/master/operations/tasks.js';
import { watched } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

const closing = new ClusterError('ERR_CLUSTER_CLOSING', 'the cluster is closing (test)');

/** Tasks that are open, and work whose end the test decides. */
function queue({ open = true } = {}) {
  const logger = new Logger({ label: 'test', level: 'silent', format: 'text', output: { write() {} } });
  const tasks = new Tasks(logger, new Faults(() => {}));
  if (open) tasks.open();
  const began: string[] = [];
  const work = (name: string) => {
    let end!: (value: string) => void;
    let fail!: (error: Error) => void;
    const done = new Promise<string>((resolve, reject) => { [end, fail] = [resolve, reject]; });
    return { task: () => { began.push(name); return done; }, end: () => end(name), fail: (error: Error) => fail(error) };
  };
  return { tasks, began, work };
}

test('run: at once, and its result is given', async () => {
  const { tasks, began, work } = queue();
  const one = work('one');
  const result = tasks.run('reload', one.task);
  assert.deepEqual(began, ['one'], 'in the same turn');
  assert.equal(tasks.current, 'reload');
  one.end();
  assert.equal(await result, 'one');
  assert.equal(tasks.current, null);
  assert.equal(tasks.busy, false);
});

test('run while one runs: busy, which names what is under way', async () => {
  const { tasks, work } = queue();
  const one = work('one');
  const running = tasks.run('reload', one.task);
  await assert.rejects(tasks.run('scale', work('two').task), { code: 'ERR_CLUSTER_BUSY', message: 'scale refused: a reload is under way' });
  one.end();
  await running;
});

test('run while others wait: busy as well, and none of them loses its turn', async () => {
  const { tasks, began, work } = queue();
  const [one, two] = [work('one'), work('two')];
  void tasks.run('reload', one.task);
  const waiting = tasks.queue('scale', two.task);
  // At the moment the first is done its successor has begun: there is no gap for a run.
  const late = watched(tasks.run('recycling', work('late').task));
  one.end();
  await turns();
  assert.equal(late.code, 'ERR_CLUSTER_BUSY');
  assert.deepEqual(began, ['one', 'two']);
  two.end();
  await waiting;
});

test('run right after a task that somebody waits behind: busy, not in between', async () => {
  const { tasks, began, work } = queue();
  const [one, two] = [work('one'), work('two')];
  const greedy = watched(tasks.run('reload', one.task).then(() => tasks.run('reload', work('greedy').task)));
  void tasks.queue('scale', two.task);
  one.end();
  await turns();
  assert.deepEqual(began, ['one', 'two']);
  assert.equal(greedy.code, 'ERR_CLUSTER_BUSY');
});

test('queue: one after the other, in the order in which they came', async () => {
  const { tasks, began, work } = queue();
  const all = ['a', 'b', 'c', 'd'].map(work);
  const results = all.map((one, at) => tasks.queue(`task ${at}`, one.task));
  for (const [at, one] of all.entries()) {
    assert.equal(began.length, at + 1);
    one.end();
    await results[at];
    await turns(1);
  }
  assert.deepEqual(began, ['a', 'b', 'c', 'd']);
});

for (const order of ['first', 'middle', 'last']) {
  test(`a failure of the ${order} one is its own: the others have their turn`, async () => {
    const { tasks, began, work } = queue();
    const all = ['a', 'b', 'c'].map(work);
    const seen = all.map((one) => watched(tasks.queue('task', one.task)));
    for (const [at, one] of all.entries()) {
      if (at === ['first', 'middle', 'last'].indexOf(order)) one.fail(new Error('broken'));
      else one.end();
      await turns();
    }
    assert.deepEqual(began, ['a', 'b', 'c']);
    assert.deepEqual(seen.filter(({ outcome }) => outcome.state === 'failed').length, 1);
    assert.equal(tasks.busy, false);
  });
}

test('a task that throws before its first await fails like any other', async () => {
  const { tasks } = queue();
  await assert.rejects(tasks.queue('task', () => { throw new Error('at once'); }), /at once/);
  await assert.rejects(tasks.run('task', () => { throw new Error('at once'); }), /at once/);
  assert.equal(tasks.busy, false);
});

test('queue with once: those that wait under the same word are the same one; one that runs is not', async () => {
  const { tasks, began, work } = queue();
  const [one, two, three] = [work('one'), work('two'), work('three')];
  const running = tasks.queue('reload', one.task, 'reload');
  assert.equal(tasks.waits('reload'), false, 'it runs');
  const waiting = tasks.queue('reload', two.task, 'reload');
  assert.equal(tasks.waits('reload'), true);
  const same = tasks.queue('reload', three.task, 'reload');
  assert.equal(same, waiting);
  one.end();
  two.end();
  assert.deepEqual(await Promise.all([running, waiting, same]), ['one', 'two', 'two']);
  assert.deepEqual(began, ['one', 'two']);
});

test('several that wait without a word each have their turn: no `reload --queue` ends as busy', async () => {
  const { tasks, began, work } = queue();
  const all = ['a', 'b', 'c'].map(work);
  const results = all.map((one) => tasks.queue('reload', one.task));
  for (const one of all) one.end();
  assert.deepEqual(await Promise.all(results), ['a', 'b', 'c']);
  assert.deepEqual(began, ['a', 'b', 'c']);
});

test('before the cluster runs: run is busy, what is queued waits until it is open', async () => {
  const { tasks, began, work } = queue({ open: false });
  await assert.rejects(tasks.run('reload', work('run').task), { code: 'ERR_CLUSTER_BUSY', message: /the cluster is starting/ });
  const one = work('one');
  const result = tasks.queue('scale', one.task);
  await turns();
  assert.deepEqual(began, []);
  assert.equal(tasks.busy, true);
  tasks.open();
  assert.deepEqual(began, ['one']);
  one.end();
  await result;
});

test('before the cluster runs it is busy with its start, though nothing waits', () => {
  const { tasks } = queue({ open: false });
  assert.equal(tasks.busy, true);
  tasks.open();
  assert.equal(tasks.busy, false);
});

for (const opened of [true, false]) {
  test(`close refuses what waits and what comes later${opened ? '' : ', before the cluster has run'}`, async () => {
    const { tasks, began, work } = queue({ open: opened });
    const one = work('one');
    if (opened) void tasks.run('reload', one.task);
    const waiting = [watched(tasks.queue('scale', work('a').task)), watched(tasks.queue('reload', work('b').task, 'reload'))];
    tasks.close(closing);
    await assert.rejects(tasks.run('reload', work('c').task),
      { code: 'ERR_CLUSTER_CLOSING', message: 'reload refused: the cluster is closing (test)' });
    await assert.rejects(tasks.queue('reload', work('d').task, 'reload'), { code: 'ERR_CLUSTER_CLOSING' });
    one.end();
    tasks.open();
    await turns();
    assert.deepEqual(waiting.map(({ code }) => code), ['ERR_CLUSTER_CLOSING', 'ERR_CLUSTER_CLOSING']);
    assert.deepEqual(began, opened ? ['one'] : [], 'nothing begins any more');
  });
}

for (const order of ['before the close', 'after the close', 'at the close itself']) {
  test(`orClosed of what is done ${order}`, async () => {
    const { tasks, work } = queue();
    const one = work('one');
    const promise = one.task();
    if (order === 'after the close') tasks.close(closing);
    const seen = watched(tasks.orClosed(promise));
    if (order === 'before the close') {
      one.end();
      await turns(1);
    }
    tasks.close(closing);
    one.end();
    await turns(1);
    assert.equal(seen.outcome.state, order === 'before the close' ? 'done' : 'failed');
    if (order !== 'before the close') assert.equal(seen.code, 'ERR_CLUSTER_CLOSING');
  });
}

test('orClosed keeps the failure of what fails first, and one that fails after the close harms nobody', async () => {
  const { tasks, work } = queue();
  const [one, two] = [work('one'), work('two')];
  const failed = watched(tasks.orClosed(one.task()));
  const late = watched(tasks.orClosed(two.task()));
  one.fail(new Error('own'));
  await turns(1);
  tasks.close(closing);
  two.fail(new Error('late'));
  await turns(1);
  assert.ok(failed.outcome.state === 'failed' && failed.outcome.error.message === 'own');
  assert.equal(late.code, 'ERR_CLUSTER_CLOSING');
});

test('steps are told to those who listen, and to nobody who has stopped', () => {
  const { tasks } = queue();
  const heard: string[] = [];
  const stop = tasks.onProgress(({ task, text, slot }) => heard.push(`${task} ${text} ${slot}`));
  tasks.step('reload', 'one', { slot: 1 });
  stop();
  tasks.step('reload', 'two');
  assert.deepEqual(heard, ['reload one 1']);
});

test('a hundred wait, no more: the next one is busy', async () => {
  const { tasks, began, work } = queue();
  const one = work('one');
  const first = tasks.queue('reload', one.task);
  const others = Array.from({ length: 100 }, () => tasks.queue('scale', async () => {}));
  const message = 'reload refused: 100 operations wait already';
  await assert.rejects(tasks.queue('reload', work('late').task), { code: 'ERR_CLUSTER_BUSY', message });
  one.end();
  await Promise.all([first, ...others]);
  assert.deepEqual(began, ['one']);
});
