import test from 'node:test';
import { skip } from '../helpers/reuse-port.js';
import { reloadsUnderLoad } from '../soak/reloads.js';

const mix = { keepAlive: 2, perConnection: 2, pipelined: 1, slow: 2, upload: 1, stream: 1, https: 1, http2: 2, sse: 1 };

test('reload under mixed load loses nothing', async (t) => {
  t.diagnostic(await reloadsUnderLoad(t, { workers: 2, reloads: 3, mix, slow: 500, pause: 2 }));
});

test('the same with balance: "os"', async (t) => {
  t.diagnostic(await reloadsUnderLoad(t, { workers: 2, reloads: 2, mix, slow: 500, pause: 2, balance: 'os' }));
});

test('the same with balance: "reuse-port"', { skip }, async (t) => {
  t.diagnostic(await reloadsUnderLoad(t, { workers: 2, reloads: 2, mix, slow: 500, pause: 2, balance: 'reuse-port' }));
});
