import test from 'node:test';
import { unsuited } from '../helpers/skips.js';
import { faultsAtStart, injectedFaults } from '../soak/faults.js';

// The whole, a thousand runs, is `npm run soak -- --only faults,faults-at-start`.
const skip = process.platform === 'linux' ? false : unsuited.linux;

test('system functions of the master fail under load: it lives, all slots are back, nothing is lost', { skip }, async (t) => {
  t.diagnostic(await injectedFaults(t, { runs: 20, seed: 7_000 }));
});

test('system functions of the master fail at its start: it comes up, or says why not and leaves nothing', { skip }, async (t) => {
  t.diagnostic(await faultsAtStart({ runs: 8, seed: 7_000 }));
});
