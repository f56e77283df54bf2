import assert from 'node:assert/strict';
import test from 'node:test';
import { nearest } from '../../lib/kit/misuse.js';

const keys = ['workers', 'port', 'host', 'path', 'startTimeout', 'reload', 'refork', 'sticky-session'];

for (const [word, meant] of [
  ['worker', 'workers'], ['wrokers', 'workers'], ['prot', 'port'], ['Port', 'port'], ['start_timeout', 'startTimeout'],
  ['start-timeout', 'startTimeout'], ['startTimeuot', 'startTimeout'], ['relaod', 'reload'], ['stickysession', 'sticky-session'],
] as const) {
  test(`"${word}" means "${meant}"`, () => assert.equal(nearest(word, keys), meant));
}

for (const word of ['', 'x', 'banana', 'cluster', 'po']) {
  test(`"${word}" means nothing known`, () => assert.equal(nearest(word, keys.filter((key) => key !== 'port')), undefined));
}
