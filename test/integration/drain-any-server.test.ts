import test from 'node:test';
import { MIXES, oneAfterTheOther } from '../soak/one-process.js';

for (const app of Object.keys(MIXES)) {
  test(`one line drains a server without a master: ${app}, one process after the other, nothing lost`, { timeout: 120_000 }, async (t) => {
    t.diagnostic(await oneAfterTheOther(t, { app, times: 2 }));
  });
}
