import assert from 'node:assert/strict';
import test from 'node:test';
import { childTable, type ChildEvent, type ChildState } from '../../lib/api/child.js';

/** Written down apart from the table, so that a change of it has to be meant. */
const expected: Record<ChildState, Record<ChildEvent, ChildState | undefined>> = {
  forked: { hello: 'booting', ready: undefined, close: 'draining', kill: 'killing', exit: 'exited' },
  booting: { hello: undefined, ready: 'ready', close: 'draining', kill: 'killing', exit: 'exited' },
  ready: { hello: undefined, ready: undefined, close: 'draining', kill: 'killing', exit: 'exited' },
  draining: { hello: undefined, ready: undefined, close: undefined, kill: 'killing', exit: 'exited' },
  killing: { hello: undefined, ready: undefined, close: undefined, kill: undefined, exit: 'exited' },
  exited: { hello: undefined, ready: undefined, close: undefined, kill: undefined, exit: undefined },
};

for (const [state, row] of Object.entries(expected)) {
  for (const [event, next] of Object.entries(row)) {
    test(`a child that is ${state}: ${event} ${next ? `leads to ${next}` : 'is ignored'}`, () => {
      assert.equal(childTable[state as ChildState][event as ChildEvent], next);
    });
  }
}

test('every state but the last leads to exited', () => {
  for (const [state, row] of Object.entries(childTable)) assert.equal(row.exit, state === 'exited' ? undefined : 'exited');
});
