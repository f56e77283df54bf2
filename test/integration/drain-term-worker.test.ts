import test from 'node:test';
import { termWorkers } from '../soak/drains.js';

test('SIGTERM to a worker: it drains, exits 0 and is replaced', async (t) => {
  t.diagnostic(await termWorkers(t, { workers: 2, times: 3 }));
});
