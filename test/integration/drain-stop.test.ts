import test from 'node:test';
import { stopInFlight } from '../soak/drains.js';

test('stop answers what is in flight and exits soon after the last answer, idle connections or not', async (t) => {
  t.diagnostic(await stopInFlight(t, { workers: 2, inFlight: 50, length: 2_000, idle: 20 }));
});

test('stop with short requests: idle connections get their second, no more', async (t) => {
  t.diagnostic(await stopInFlight(t, { workers: 2, inFlight: 5, length: 200, idle: 20 }));
});
