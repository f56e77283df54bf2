import assert from 'node:assert/strict';
import test from 'node:test';
import type { ClusterError } from '../../lib/kit/errors.js';
import { checked, type DrainOptions } from '../../plugins/graceful-exit/drain-options.js';
import { schema } from '../../plugins/graceful-exit/options.js';
import * as v from 'valibot';

function drain(options: unknown = {}, again = false) {
  return checked(drain as never, options as DrainOptions, again);
}

for (const [given, said] of [
  [null, 'drain: expected an object of options, found null'],
  [5_000, 'drain: expected an object of options, found 5000'],
  [{ timeuot: 1 }, 'drain: there is no option `timeuot`; did you mean `timeout`?'],
  [{ streamTimeout: 1 }, 'drain: there is no option `streamTimeout`; there are timeout, '],
  [{ constructor: 1 }, 'drain: there is no option `constructor`; '],
  [{ timeout: '30s' }, 'drain: `timeout`: expected whole milliseconds from 0 up, at most 2147483647, found "30s"'],
  [{ timeout: -1 }, 'drain: `timeout`: expected '],
  [{ timeout: Infinity }, 'drain: `timeout`: expected whole milliseconds from 0 up, at most 2147483647, found Infinity'],
  [{ idleTimeout: null }, 'drain: `idleTimeout`: expected whole milliseconds from 0 up, at most 2147483647, found null'],
  [{ signals: 'SIGTERM' }, 'drain: `signals`: expected a list of signals, found "SIGTERM"'],
  [{ signals: ['SIGTREM'] }, 'drain: `signals`: expected signals that a process can hear, found "SIGTREM"; did you mean "SIGTERM"?'],
  [{ signals: ['SIGKILL'] }, 'drain: `signals`: expected signals that a process can hear, found "SIGKILL"'],
  [{ signals: [15] }, 'drain: `signals`: expected signals that a process can hear, found 15'],
  [{ exit: 1 }, 'drain: `exit`: expected true or false, found 1'],
  [{ onClose: Promise.resolve() }, 'drain: `onClose`: expected a function, found {}'],
] as const) {
  test(`drain(${JSON.stringify(given)}) is refused in one line`, () => {
    assert.throws(() => drain(given), ({ code, message, stack }: ClusterError) => {
      assert.equal(code, 'ERR_CLUSTER_USAGE');
      assert.ok(message.startsWith(said), message);
      assert.equal(message.split('\n').length, 1);
      assert.match(String(stack?.split('\n')[1]), /drain-options\.test/, 'where it was called');
      return true;
    });
  });
}

test('a second call is refused', () => {
  assert.throws(() => drain({}, true), /^ClusterError: drain: it was called before/);
});

test('what is left out, or undefined, is as a worker has it', () => {
  const { exit, ...times } = drain({ timeout: undefined, exit: undefined });
  const all = v.getDefaults(schema);
  for (const [name, value] of Object.entries(all)) assert.equal(times[name as keyof typeof all], value, name);
  assert.equal(exit, true);
});
