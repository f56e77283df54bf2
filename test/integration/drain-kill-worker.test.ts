import test from 'node:test';
import { killWorkers } from '../soak/drains.js';

test('kill -9 of a worker: no client hangs, no descriptor stays in the master', async (t) => {
  t.diagnostic(await killWorkers(t, { workers: 2, times: 5 }));
});
