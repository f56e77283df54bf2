import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { addresses, ask, stickyCluster } from '../helpers/sticky.js';

/** A client of the wanted slot. */
async function clientOf(port: number, slot: number): Promise<string> {
  for (const from of addresses(100)) if ((await ask({ port }, '/', { from })).slot === slot) return from;
  throw new Error(`no client of slot ${slot}`);
}

test('a blocked worker delays its own clients alone', async (t) => {
  const { port } = await stickyCluster(t, {});
  const victim = await clientOf(port, 2);
  const others = await Promise.all([0, 1, 3].map((slot) => clientOf(port, slot)));
  let longest = 0;
  for (let round = 0; round < 2; round++) {
    await ask({ port }, '/block?ms=1000', { from: victim });
    const until = performance.now() + 1_000;
    await delay(50);
    const own = ask({ port }, '/', { from: victim }).then(() => performance.now());
    const waiting = Promise.all(Array.from({ length: 20 }, () => ask({ port }, '/', { from: victim })));
    while (performance.now() < until) {
      for (const from of others) {
        const started = performance.now();
        await ask({ port }, '/', { from });
        longest = Math.max(longest, performance.now() - started);
      }
    }
    assert.ok(await own > until - 200, 'the blocked worker answers its own client when it can');
    for (const { slot } of await waiting) assert.equal(slot, 2);
  }
  assert.ok(longest < 300, `another slot's client waited ${Math.round(longest)} ms`);
});

test('clients of a worker that hangs for longer than patience are served by the next one, at once from then on', async (t) => {
  const { port } = await stickyCluster(t, { patience: 500 });
  const victim = await clientOf(port, 2);
  await ask({ port }, '/block?ms=3000', { from: victim });
  await delay(50);
  const blocked = performance.now();
  // Hangs in the worker itself: it was accepted, or is the one connection on its way.
  const first = ask({ port }, '/', { from: victim });
  const second = await ask({ port }, '/', { from: victim });
  assert.notEqual(second.slot, 2);
  assert.ok(performance.now() - blocked < 1_500);
  const started = performance.now();
  assert.equal((await ask({ port }, '/', { from: victim })).slot, second.slot);
  assert.ok(performance.now() - started < 300);
  assert.equal((await first).slot, 2);
  assert.equal((await ask({ port }, '/', { from: victim })).slot, 2);
});
