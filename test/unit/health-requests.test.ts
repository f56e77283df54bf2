import assert from 'node:assert/strict';
import { channel } from 'node:diagnostics_channel';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Server } from 'node:net';
import type { Runtime } from '../../lib/runtime.js';
import { SyncChildHook } from '../../lib/child/runtime.js';
import { Requests } from '../../plugins/health-check/requests.js';

const STARTED = Symbol.for('hatchery.started');
/** Requests that come between two readings of the clock, at most. */
const SHARERS = 8;

function counted() {
  const readings: number[] = [];
  const server = new SyncChildHook<[Server]>();
  const requests = new Requests({ hooks: { server }, servers: new Set() } as unknown as Runtime, (now) => readings.push(now));
  server.call({} as Server);
  /** A request comes; performance.now() of its start, as it is noted. */
  const come = (): number => {
    const request: { [STARTED]?: number } = {};
    channel('http.server.request.start').publish({ request });
    return request[STARTED] as number;
  };
  return { requests, readings, come };
}

/** Keeps the event loop busy, as an answer may. */
function work(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

test('every request counts, and those that come all at once share readings of the clock, eight each', () => {
  const { requests, readings, come } = counted();
  for (let n = 0; n < 1_000; n++) come();
  assert.equal(requests.total, 1_000);
  assert.ok(readings.length >= 1_000 / SHARERS && readings.length < 500, `${readings.length} readings`);
});

test('a request that comes by itself has its own reading, also after many', async () => {
  const { come } = counted();
  for (let n = 0; n < 3; n++) {
    for (let many = 0; many < 100; many++) come();
    await delay(100);
    const before = performance.now();
    const started = come();
    assert.ok(started >= before - 1 && started <= performance.now(), `${started} of ${before}`);
  }
});

test('a loop that goes from quick requests to slow ones in one turn is heard of after eight, and then at each', () => {
  const { readings, come } = counted();
  for (let n = 0; n < 100; n++) come();
  readings.length = 0;
  for (let n = 0; n < 3 * SHARERS; n++) {
    come();
    work(5);
  }
  assert.ok(readings.length >= 2 * SHARERS, `${readings.length} readings`);
});
