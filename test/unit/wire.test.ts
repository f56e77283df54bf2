import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deserialize, serialize } from 'node:v8';
import { ClusterError, describeError, fromWire, wire } from '../../lib/kit/errors.js';

test('an error crosses a border with its code, its detail, and its causes told in its stack', () => {
  const cause = Object.assign(new TypeError('below'), { code: 'E_BELOW' });
  const sent = new ClusterError('ERR_CLUSTER_START', 'did not start', { cause, detail: 'last words' });
  for (const data of [JSON.parse(JSON.stringify(wire(sent))), deserialize(serialize(wire(sent)))] as ReturnType<typeof wire>[]) {
    const error = fromWire(data);
    assert.ok(error instanceof ClusterError);
    assert.deepEqual([error.message, error.code, error.detail, error.exitCode], ['did not start', 'ERR_CLUSTER_START', 'last words', 1]);
    assert.match(error.stack ?? '', /did not start\n(?:.*\n)+last words\n {2}caused by: TypeError: below\n(?:.*\n)+ {4}code: E_BELOW$/);
    assert.equal(describeError(error), error.stack, 'nothing is told twice');
  }
});

test('an error of somebody else keeps its name and code', () => {
  const error = fromWire(wire(Object.assign(new RangeError('too much'), { code: 'E_MUCH' })));
  assert.deepEqual([error.name, error.message, (error as { code?: string }).code], ['RangeError', 'too much', 'E_MUCH']);
});

test('what is thrown may be anything', () => {
  assert.deepEqual(wire('no error'), { name: 'Error', message: 'no error' });
  assert.equal(wire({ status: 500 }).message, '{"status":500}');
  assert.equal(wire(undefined).message, 'undefined');
  const bare = new Error('without');
  bare.stack = undefined;
  assert.deepEqual(wire(bare), { name: 'Error', message: 'without', stack: undefined });
});

test('causes in a circle are told a few times', () => {
  const error = new Error('round');
  error.cause = new Error('and round', { cause: error });
  assert.ok((wire(error).stack ?? '').length < 20_000);
});
