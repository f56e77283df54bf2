import test from 'node:test';
import { mutatedFrames } from '../soak/hostile.js';

const seed = Number(process.env.TEST_SEED ?? Date.now() % 1e6);

/** `npm run soak -- --only hostile-frames` has a hundred thousand of them. */
test(`mutated frames of a hostile worker: the master lives, nothing of another worker is lost (TEST_SEED=${seed})`, async (t) => {
  t.diagnostic(await mutatedFrames(t, { frames: 6_000, perLife: 400, seed }));
});
