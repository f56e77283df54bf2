import { test } from 'node:test';
import { savesUnderLoad } from '../helpers/dev-saves.js';

test('saves at random moments under load: the last content wins, no request fails', { timeout: 30_000 }, async (t) => {
  t.diagnostic(await savesUnderLoad(t, 20, 250));
});
