import assert from 'node:assert/strict';
import test from 'node:test';
import { messagesUnderKills } from '../soak/messages.js';

test('agent killed, all reloaded, while workers ask it: every request ends, in order, in its answer or a coded error', async (t) => {
  const report = await messagesUnderKills(t, { workers: 2, kills: 2, reloads: 1, messages: 4_000 });
  t.diagnostic(report);
  assert.match(report, /answered/);
});
