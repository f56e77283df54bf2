import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probes } from '../helpers/probes.js';

// `npx tsx test/run.ts node/ --node 26`: which promise of Node's does a new version break? (test/integration/probes.test.ts
// shows that a broken one is found.)
for (const [subject, line] of Object.entries(await probes())) {
  test(`Node has what lib/node/${subject}.ts needs`, () => assert.equal(line, null));
}
