import assert from 'node:assert/strict';
import test from 'node:test';
import { BOUND, slowReceiver } from '../soak/messages.js';

/** Milliseconds; without a bound it would be more than twice it by then. */
const duration = 4_000;

test('a worker that goes on sending to an agent that blocks: memory stays, nothing throws', async (t) => {
  const { text, most, sent } = await slowReceiver(t, { onFull: 'wait', slow: 'blocks', duration });
  t.diagnostic(text);
  assert.ok(most < BOUND, text);
  assert.equal(sent.refused, 0);
});

test('a worker that waits when it is told to: every message is kept', async (t) => {
  const { text, most, sent } = await slowReceiver(t, { onFull: 'wait', slow: 'waits', polite: true, duration });
  t.diagnostic(text);
  assert.ok(most < BOUND, text);
  assert.ok(sent.waited > 0);
});

test('drop-oldest: memory stays, and the sender is not stopped', async (t) => {
  const { text, most, sent } = await slowReceiver(t, { onFull: 'drop-oldest', slow: 'waits', duration });
  t.diagnostic(text);
  assert.ok(most < BOUND, text);
  assert.equal(sent.refused, 0);
});

test('error: memory stays, and what sends is told', async (t) => {
  const { text, most, sent } = await slowReceiver(t, { onFull: 'error', slow: 'blocks', duration });
  t.diagnostic(text);
  assert.ok(most < BOUND, text);
  assert.ok(sent.refused > 0, text);
});
