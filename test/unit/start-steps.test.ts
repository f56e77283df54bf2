import assert from 'node:assert/strict';
import test from 'node:test';
import { StartSteps, startWaits } from '../../lib/ipc/ready.js';

function steps() {
  const told: string[][] = [];
  const warned: string[] = [];
  return { told, warned, steps: new StartSteps((all) => told.push(all.map(({ name }) => name)), (text) => warned.push(text)) };
}
const turn = () => new Promise((resolve) => { setImmediate(resolve); });

test('a start without steps waits for nothing, and tells nothing', async () => {
  const { steps: all, told } = steps();
  await all.settled();
  assert.deepEqual(told, []);
});

test('a start waits for its steps, for those that begin meanwhile too, and tells what it waits for', async () => {
  const { steps: all, told } = steps();
  const first = all.begin('first');
  let over = false;
  const settled = all.settled().then(() => { over = true; });
  await turn();
  const second = all.begin('second');
  first();
  first();
  await turn();
  assert.equal(over, false);
  second();
  await settled;
  assert.deepEqual(told, [['the step "first"'], ['the step "second"'], []]);
});

test('a step that fails fails the start with its error; the first one counts', async () => {
  const { steps: all } = steps();
  const [a, b, hangs] = [all.begin('a'), all.begin('b'), all.begin('hangs')];
  b(new RangeError('no database'));
  a(new Error('nor a cache'));
  await assert.rejects(all.settled(), new RangeError('no database'));
  hangs();
});

test('a step has a time limit, by which it is named', async () => {
  const { steps: all } = steps();
  all.begin('slow', { timeout: 20 });
  await assert.rejects(all.settled(), { code: 'ERR_CLUSTER_START_TIMEOUT', message: 'the step "slow" was not done within 20 ms' });
});

test('a weak step that fails or takes too long is told, and the start goes on', async () => {
  const { steps: all, warned } = steps();
  all.begin('cache', { weak: true })(new Error('away'));
  all.begin('metrics', { weak: true, timeout: 20 });
  await all.settled();
  assert.deepEqual(warned, [
    'the start goes on without the step "cache": away',
    'the start goes on without the step "metrics": the step "metrics" was not done within 20 ms',
  ]);
});

test('once the start is over there are no steps any more', async () => {
  const { steps: all } = steps();
  await all.settled();
  assert.throws(() => all.begin('late'), { code: 'ERR_CLUSTER_USAGE', message: /"late"/ });
});

test('what is no name, and what is no time limit, is refused', () => {
  const { steps: all } = steps();
  assert.throws(() => all.begin('' as never), { code: 'ERR_CLUSTER_USAGE' });
  assert.throws(() => all.begin('a', { timeout: -1 }), { code: 'ERR_CLUSTER_USAGE', message: /the timeout of step "a"/ });
});

test('what others wait for is shown, and holds nothing up', async () => {
  const { steps: all, told } = steps();
  const done = startWaits('the shared client "registry"');
  const step = all.begin('cache');
  await turn();
  done();
  await turn();
  startWaits('the shared client "other"');
  step();
  await all.settled();
  assert.deepEqual(told, [['the step "cache"', 'the shared client "registry"'], ['the step "cache"']]);
});

test('options that are none are refused', () => {
  const { steps: all } = steps();
  for (const options of [null, 5, { timeot: 1 }]) {
    assert.throws(() => all.begin('cache', options as never), { code: 'ERR_CLUSTER_USAGE', message: /the options of step "cache" are/ });
  }
});
