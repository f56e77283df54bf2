import assert from 'node:assert/strict';
import test from 'node:test';
import type { ServiceState } from '../../lib/api/plugin.js';
import { serviceTable, type ServiceEvent } from '../../lib/master/life.js';

const states: ServiceState[] = ['idle', 'startingAgent', 'startingWorkers', 'running', 'reloading', 'closing', 'closed'];
const events: ServiceEvent[] = ['start', 'agentReady', 'workersReady', 'reload', 'reloadDone', 'close', 'closed'];

/** All pairs that lead somewhere, `state event next`. */
const moves = new Set([
  'idle start startingAgent', 'idle close closing',
  'startingAgent agentReady startingWorkers', 'startingAgent close closing',
  'startingWorkers workersReady running', 'startingWorkers close closing',
  'running reload reloading', 'running close closing',
  'reloading reloadDone running', 'reloading close closing',
  'closing closed closed',
]);

for (const state of states) {
  for (const event of events) {
    const next = serviceTable[state][event];
    test(`a service that is ${state}: ${event} ${next ? `leads to ${next}` : 'is ignored'}`, () => {
      const found = [...moves].find((move) => move.startsWith(`${state} ${event} `));
      assert.equal(next, found?.split(' ')[2]);
    });
  }
}

test('a close wins in every state but those that are closing already', () => {
  for (const state of states) assert.equal(serviceTable[state].close, state === 'closing' || state === 'closed' ? undefined : 'closing');
});
