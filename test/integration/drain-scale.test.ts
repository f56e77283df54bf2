import test from 'node:test';
import { scaleDown } from '../soak/drains.js';

test('scale down drains what it removes', async (t) => {
  t.diagnostic(await scaleDown(t, { from: 4, to: 2 }));
});
