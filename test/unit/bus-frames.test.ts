import assert from 'node:assert/strict';
import test from 'node:test';
import { pack, unpackFrame } from '../../lib/messenger/bus-frames.js';

const through = <T>(value: T): T => (unpackFrame(pack([value])) as [T])[0];

class Odd extends RangeError {
  code = 'E_ODD';
  where = new Map([['at', 2n]]);
}
class Nameless extends Error {}

test('Map, Set, Date, Buffer, typed arrays, BigInt, RegExp, undefined and circles arrive as they are', () => {
  const value = {
    map: new Map<unknown, unknown>([['a', 1], [{ key: 1 }, new Set([1])]]), date: new Date(5), bytes: Buffer.from('x'),
    floats: new Float64Array([1.5]),
    view: new Uint16Array([1, 2]), big: 2n ** 90n, negative: -(2n ** 70n), pattern: /a+/gi, nothing: undefined,
    none: null, number: 1e300, text: '\u{1f600}\u00e9',
  };
  assert.deepEqual(through(value), value);
  const circle: { self?: object } = {};
  circle.self = circle;
  const back = through(circle);
  assert.equal(back.self, back);
});

test('an error keeps the name of its class, its message, cause and own fields', () => {
  const error = through(new Odd('too far', { cause: new TypeError('below') }));
  assert.ok(error instanceof Error);
  assert.deepEqual([error.name, error.message, error.code, error.where], ['Odd', 'too far', 'E_ODD', new Map([['at', 2n]])]);
  assert.ok(error.cause instanceof TypeError && error.cause.message === 'below');
  assert.match(error.stack ?? '', /bus-frames\.test/);
  assert.equal(through(new Nameless('x')).name, 'Nameless');
  assert.deepEqual((through(new AggregateError([new Error('one')], 'all')).errors as Error[]).map(({ message }) => message), ['one']);
});

test('an error that is its own cause, or holds itself, arrives', () => {
  const error = new Error('round') as Error & { self?: Error };
  error.cause = error;
  error.self = error;
  assert.equal(through(error).message, 'round');
});

for (const [what, value] of Object.entries({ 'a function': () => 1, 'a symbol': Symbol('x') })) {
  test(`${what} is refused where it is sent, and the next message is whole`, () => {
    assert.throws(() => pack([{ value }]), { code: 'ERR_CLUSTER_NOT_CLONEABLE' });
    assert.deepEqual(through({ a: [1] }), { a: [1] });
  });
}

test('what is nested too deep, or longer than 16 MiB, is refused where it is sent', () => {
  let deep: object = {};
  for (let i = 0; i < 50_000; i++) deep = { deep };
  assert.throws(() => pack([deep]), { code: 'ERR_CLUSTER_NOT_CLONEABLE' });
  assert.throws(() => pack(['x'.repeat(17 * 2 ** 20)]), { code: 'ERR_CLUSTER_MESSAGE_TOO_LONG' });
  assert.equal(through('after'), 'after');
});
