import assert from 'node:assert/strict';
import test from 'node:test';
import { describeError, messageOf, wire } from '../../lib/kit/errors.js';
import { Faults, owned, ownerOf, runOwned } from '../../lib/kit/faults.js';

function faults() {
  const lines: string[] = [];
  const errors: unknown[] = [];
  const it = new Faults((line, error) => {
    lines.push(line);
    errors.push(error);
  });
  return { it, lines, errors };
}

test('what a guarded function throws is told, with where, and counted', () => {
  const { it, lines, errors } = faults();
  const error = new Error('no');
  const guarded = it.guard('timer', (n: number) => {
    if (n > 1) throw error;
    return n;
  });
  assert.equal(guarded(1), 1);
  assert.equal(guarded(2), undefined);
  assert.deepEqual([lines, errors, it.count], [['timer: no'], [error], 1]);
});

test('a promise that it gives is watched', async () => {
  const { it, lines } = faults();
  it.run('async', async () => { throw new Error('later'); });
  it.watch('promise', Promise.reject(new Error('nobody waits')));
  await new Promise(setImmediate);
  assert.deepEqual(lines, ['async: later', 'promise: nobody waits']);
});

test('whatever is thrown, it ends there', () => {
  const { it, lines } = faults();
  const throws = (value: unknown) => it.run('odd', () => { throw value; });
  throws(undefined);
  throws('a text');
  throws({ get message() { throw new Error('not even this'); } });
  throws(Object.defineProperty(new Error('x'), 'message', { get() { throw new Error('a getter'); } }));
  assert.equal(it.count, 4);
  assert.equal(lines[1], 'odd: a text');
});

/** None of these can be made text by String(), or asked whether it is an Error. */
const oddities: Record<string, unknown> = {
  'an object without a prototype': Object.create(null),
  'a Proxy whose traps throw': new Proxy({}, {
    get() { throw new Error('get'); }, getPrototypeOf() { throw new Error('prototype'); }, has() { throw new Error('has'); },
  }),
  'an Error whose message throws': Object.defineProperty(new Error('x'), 'message', { get() { throw new Error('a getter'); } }),
  'an object that throws at every turn': { [Symbol.toPrimitive]() { throw new Error('no'); }, get stack() { throw new Error('no'); } },
  'a symbol': Symbol('s'),
};

for (const [what, thrown] of Object.entries(oddities)) {
  test(`${what} is told like any other, and the slots are looked over`, () => {
    const { it, lines } = faults();
    let looked = 0;
    it.after = () => { looked++; };
    it.run('odd', () => { throw thrown; });
    assert.match(lines[0]!, /^odd: ./);
    assert.equal(looked, 1);
    for (const text of [messageOf(thrown), describeError(thrown), wire(thrown).message]) assert.equal(typeof text, 'string');
  });
}

test('one that cannot be told is no reason not to look the slots over', () => {
  const it = new Faults(() => { throw new Error('full disk'); });
  let looked = 0;
  it.after = () => { looked++; };
  it.caught('x', new Error('y'));
  assert.equal(looked, 1);
});

test('a logger that throws ends nothing', () => {
  const it = new Faults(() => { throw new Error('full disk'); });
  it.caught('x', new Error('y'));
  assert.equal(it.count, 1);
});

test('the same fault again and again: told once a second, with how many more', (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const { it, lines } = faults();
  for (; now < 2_500; now += 100) it.caught('flood', new Error('same'));
  assert.equal(it.count, 25);
  assert.deepEqual(lines, ['flood: same', 'flood: same (and 9 more like it)', 'flood: same (and 9 more like it)']);
});

test('faults that are all different leave nothing behind', (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now++);
  const { it, lines } = faults();
  for (let n = 0; n < 1_000; n++) it.caught('many', new Error(String(n)));
  assert.equal(lines.length, 1_000);
});

test('whose it is goes along: timers, promises, functions that are called by others', async () => {
  const { it, lines } = faults();
  let later!: () => void;
  await runOwned('shop', async () => {
    later = owned(() => it.caught('callback', new Error('c')));
    await new Promise((resolve) => setTimeout(resolve, 1));
    it.caught('timer', new Error('t'));
  });
  assert.equal(ownerOf(), undefined);
  later();
  assert.deepEqual(lines, ['timer: t (begun by plugin "shop")', 'callback: c (begun by plugin "shop")']);
});
