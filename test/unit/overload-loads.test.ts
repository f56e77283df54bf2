import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { ListeningAddress, SlotLoad } from '../../lib/api/child.js';
import type { Master } from '../../lib/api/plugin.js';
import { Loads } from '../../plugins/overload/loads.js';
import { isLoad, type Load } from '../../plugins/overload/messages.js';

const calm: Load = {
  over: false, wait: 0, cost: 5, turn: 5, busy: 0.5, target: 50, taken: 0, shed: { low: 0, normal: 0, high: 0 },
};

/** A master with so many slots, whose workers say what a test has them say; its clock is the test's. */
function loadsOf(t: TestContext, count: number) {
  let now = 1_000;
  t.mock.method(performance, 'now', () => now);
  const heard: ((load: Load) => void)[] = [];
  let forked: (child: unknown) => void = () => {};
  const warnings: string[] = [];
  const slots: { index: number; current: unknown }[] = [];
  const master = {
    slots,
    hooks: { workerForked: { tap: (_name: string, fn: typeof forked) => { forked = fn; } } },
    logger: { warn: (text: string) => warnings.push(text) },
    children: () => slots.map(({ current }) => current),
  } as unknown as Master;
  const loads = new Loads(master);
  const fork = (slot: number) => {
    const child = { slot, pid: 100 + heard.length, channel: { on: (_: string, fn: (load: Load) => void) => { heard[slot] = fn; } } };
    slots[slot] = { index: slot, current: child };
    forked(child);
    return child as never;
  };
  for (let slot = 0; slot < count; slot++) fork(slot);
  const at = (waiting: number, ...all: Partial<SlotLoad>[]): ListeningAddress => ({
    address: {}, waiting, longestWait: 0, slots: slots.map((_, index) => ({ index, ready: true, busy: false, waiting: 0, ...all[index] })),
  });
  const says = (slot: number, load: Partial<Load> = {}) => heard[slot]!({ ...calm, ...load });
  return { loads, says, at, fork, warnings, pass: (ms: number) => { now += ms; } };
}

test('the one where least is waited for is picked, of those that could take it at once', (t) => {
  const { loads, says, at } = loadsOf(t, 3);
  says(0, { wait: 40 });
  says(1, { wait: 3 });
  says(2, { wait: 20 });
  assert.equal(loads.pick(at(0)), 1);
  assert.equal(loads.pick(at(0, {}, { busy: true })), 2);
  assert.equal(loads.pick(at(0, {}, { ready: false }, { busy: true })), 0);
  assert.equal(loads.pick(at(0, { busy: true }, { busy: true }, { busy: true })), undefined, 'whoever is free first');
  assert.equal(loads.pick(at(0, { ready: false }, { ready: false }, { ready: false })), undefined);
});

test('what one was handed since it last spoke counts, so that not all go to the same one', (t) => {
  const { loads, says, at } = loadsOf(t, 2);
  says(0, { wait: 8 });
  says(1, { wait: 0 });
  assert.deepEqual(Array.from({ length: 6 }, () => loads.pick(at(0))), [1, 1, 0, 1, 0, 1]);
  says(1, { wait: 0 });
  assert.equal(loads.pick(at(0)), 1);
});

test('those that are alike have their turns, and one that has said nothing yet is the least busy', (t) => {
  const { loads, says, at } = loadsOf(t, 3);
  assert.deepEqual(Array.from({ length: 6 }, () => loads.pick(at(0))), [0, 1, 2, 0, 1, 2]);
  says(0, { wait: 1 });
  says(2, { wait: 1 });
  assert.deepEqual(Array.from({ length: 3 }, () => loads.pick(at(0))), [1, 1, 1]);
});

test('all is full only when every worker that takes connections there is over its limit', (t) => {
  const { loads, says, at, pass, fork } = loadsOf(t, 2);
  says(0, { over: true });
  assert.equal(loads.fullness(at(100), 1_000), null, 'one has said nothing yet');
  says(1);
  assert.equal(loads.fullness(at(100), 1_000), null);
  assert.equal(loads.fullness(at(20, {}, { ready: false }), 1_000), 2, '20 times 5 ms of 50');
  says(1, { over: true });
  assert.equal(loads.fullness(at(20), 1_000), 1);
  assert.equal(loads.fullness(at(10, { waiting: 5 }, { waiting: 5 }), 1_000), 1, 'those that wait for a slot are among them');
  assert.equal(loads.fullness(at(1), 1_000), null, 'one of the two takes it');
  assert.equal(loads.fullness(at(100, { ready: false }, { ready: false }), 1_000), null, 'they wait for the workers that come');
  says(1, { over: true, turn: 45 });
  assert.equal(loads.fullness(at(20), 1_000), 5, 'a turn for each connection');
  fork(1);
  assert.equal(loads.fullness(at(20), 1_000), null, 'its successor is not');
  says(1);
  pass(1_001);
  assert.equal(loads.fullness(at(20), 2_001), null, 'silent, and free');
  assert.equal(loads.fullness(at(20, {}, { busy: true }), 2_001), 1, 'silent, and what it was handed is not taken');
});

test('a worker that is over its limit does not count as ready, nor for a second after it', (t) => {
  const { loads, says, fork, pass, warnings } = loadsOf(t, 0);
  const child = fork(0);
  assert.equal(loads.reason(child), null);
  says(0, { over: true });
  assert.equal(loads.reason(child), 'it is over its limit, and sheds requests');
  pass(200);
  says(0);
  pass(900);
  assert.notEqual(loads.reason(child), null);
  pass(200);
  assert.equal(loads.reason(child), null);
  says(0, { over: true });
  assert.equal(warnings.length, 1, 'once in a while');
});

test('what was shed is counted over all processes of a slot', (t) => {
  const { loads, says, fork } = loadsOf(t, 1);
  const shed = (normal: number) => ({ shed: { low: 1, normal, high: 0 } });
  says(0, shed(3));
  says(0, shed(5));
  fork(0);
  says(0, shed(2));
  const status = loads.tell({ workers: [] } as never, { shed: 0, passed: 0, silent: 0, full: 0, gone: 0 });
  assert.deepEqual(status.overload!.slots, [{ slot: 0, shed: { low: 2, normal: 7, high: 0 } }]);
});

test('what a child says that is no load is none', () => {
  assert.ok(isLoad(calm));
  const wrong = [null, 1, {}, { ...calm, over: 1 }, { ...calm, wait: -1 }, { ...calm, cost: Infinity }, { ...calm, shed: null },
    { ...calm, shed: { low: 0, normal: '1', high: 0 } }, { ...calm, busy: NaN }];
  assert.deepEqual(wrong.filter((one) => isLoad(one)), []);
});
