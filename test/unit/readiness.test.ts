import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Readiness, type Reached, type Wanted } from '../../lib/child/readiness.js';
import type { Served } from '../../lib/ipc/messages.js';
import type { Server } from 'node:net';

const at = (name: string, more: Partial<Served> = {}): Served =>
  ({ protocol: 'http', port: Number(name.split(':').at(-1)), name, configured: name.endsWith(':7001'), own: false, ...more });
const main = at('*:7001');
const metrics = at('*:9100');

/** A worker's servers as a test has them listen, and the clock. */
function worker(t: TestContext, wanted: Partial<Wanted> = {}) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 1_000;
  t.mock.method(performance, 'now', () => now);
  let served: Served[] = [];
  let change = () => {};
  const pending = new Set<Server>();
  const state = { served: () => served, pending, onChange: (then: () => void) => { change = then; } };
  const it = new Readiness({ named: true, expected: null, ...wanted }, state);
  let reached: Reached | null = null;
  void it.reached.then((how) => { reached = how; });
  return {
    it,
    serves: (...all: Served[]) => {
      served = all;
      change();
    },
    begins: () => pending.add({} as Server),
    begun: () => {
      pending.clear();
      change();
    },
    later: (ms: number) => {
      now += ms;
      t.mock.timers.tick(ms);
    },
    /** Null as long as it is not ready. */
    how: async () => {
      await Promise.resolve();
      return reached;
    },
  };
}

const plainly: Reached = { missing: [], instead: false };

test('the configured address makes ready at once, and another one does not', async (t) => {
  const { it, serves, later, how } = worker(t);
  it.loaded();
  serves(metrics);
  later(4_999);
  assert.equal(await how(), null);
  serves(metrics, main);
  later(1);
  assert.deepEqual(await how(), plainly);
});

test('a named address that nobody serves: another one counts after 5 s, from when it is served', async (t) => {
  const { it, serves, later, how } = worker(t);
  serves(metrics);
  serves();
  later(10_000);
  serves(metrics);
  later(3_000);
  it.loaded();
  assert.equal(await how(), null);
  later(2_000);
  assert.deepEqual(await how(), { missing: [], instead: true });
});

test('with the default: whatever listens, when nothing more has for 300 ms', async (t) => {
  const { it, serves, begins, begun, later, how } = worker(t, { named: false });
  it.loaded();
  serves(metrics);
  later(299);
  begins();
  serves(metrics);
  later(400);
  assert.equal(await how(), null, 'another one is about to listen');
  serves(metrics, at('*:3000'));
  begun();
  later(299);
  assert.equal(await how(), null);
  later(1);
  assert.deepEqual(await how(), plainly);
});

test('with the default, a port of its own (a leader\'s) counts after 5 s, one that the system chose as any other', async (t) => {
  const leader = worker(t, { named: false });
  leader.it.loaded();
  leader.serves(at('*:9100', { own: true }));
  leader.later(4_999);
  assert.equal(await leader.how(), null);
  leader.later(1);
  assert.deepEqual(await leader.how(), plainly);
});

test('nothing is ready before the app is loaded; but what was served counts from when it was', async (t) => {
  const { it, serves, later, how } = worker(t);
  serves(main);
  later(60_000);
  assert.equal(await how(), null);
  it.loaded();
  assert.deepEqual(await how(), plainly);
});

test('what those before it serve is waited for, and no longer', async (t) => {
  const expected = { configured: false, others: ['*:3000', '*:9100'], grace: 5_000, quick: false, still: 60 };
  const { it, serves, later, how } = worker(t, { named: false, expected });
  it.loaded();
  serves(metrics);
  later(4_000);
  assert.equal(await how(), null);
  serves(metrics, at('*:3000'));
  later(59);
  assert.equal(await how(), null, 'it may only look whether its port is free');
  later(1);
  assert.deepEqual(await how(), plainly);
});

test('after the configured address the others have 5 s, then they are named', async (t) => {
  const expected = { configured: true, others: ['*:9100', '127.0.0.1:9200'], grace: 5_000, quick: false, still: 60 };
  const { it, serves, later, how } = worker(t, { expected });
  it.loaded();
  serves(at('*:9200'));
  later(20_000);
  assert.equal(await how(), null, 'the configured one is always waited for');
  serves(at('*:9200'), main);
  later(4_999);
  assert.equal(await how(), null);
  later(1);
  assert.deepEqual(await how(), { missing: ['*:9100'], instead: false }, 'all hosts have the one');
});

test('an app that never served the configured address is not asked to', async (t) => {
  const expected = { configured: false, others: ['*:3000'], grace: 5_000, quick: false, still: 60 };
  const { it, serves, later, how } = worker(t, { expected });
  it.loaded();
  serves(at('*:3000'));
  later(60);
  assert.deepEqual(await how(), plainly);
});

test('by hand: at once where nobody serves anything yet; else what is served is missed for 5 s', async (t) => {
  const first = worker(t);
  first.it.said();
  assert.deepEqual(await first.how(), plainly);
});

test('by hand, in place of one that served: for a while', async (t) => {
  const expected = { configured: true, others: ['*:9100'], grace: 5_000, quick: false, still: 60 };
  const { it, serves, later, how } = worker(t, { expected });
  it.said();
  serves(main);
  later(4_999);
  assert.equal(await how(), null);
  later(1);
  assert.deepEqual(await how(), { missing: ['*:9100'], instead: false });
});

test('by hand, in place of one that served the configured address: that is waited for, and then the others for a while', async (t) => {
  const expected = { configured: true, others: ['*:9100'], grace: 5_000, quick: false, still: 60 };
  const { it, serves, later, how } = worker(t, { expected });
  it.said();
  later(60_000);
  assert.equal(await how(), null);
  serves(main);
  later(4_999);
  assert.equal(await how(), null);
  serves(main, metrics);
  later(60);
  assert.deepEqual(await how(), plainly);
});

test('with the default, the one that was served before is waited for; in development for 5 s', async (t) => {
  const expected = { configured: true, others: ['*:9100'], grace: 300, quick: false, still: 60 };
  const usual = worker(t, { named: false, expected });
  usual.it.loaded();
  usual.serves(metrics);
  usual.later(60_000);
  assert.equal(await usual.how(), null);
  t.mock.reset();
  t.mock.timers.reset();
  const quick = worker(t, { named: false, expected: { ...expected, quick: true, still: 1 } });
  quick.it.loaded();
  quick.serves(metrics);
  quick.later(4_999);
  assert.equal(await quick.how(), null);
  quick.later(1);
  assert.deepEqual(await quick.how(), { missing: [], instead: true });
});

test('what is closed in a timer after it listened was a look; the next one has to stay for a little', async (t) => {
  const { it, serves, later, how } = worker(t);
  it.loaded();
  serves(main);
  serves();
  later(10_000);
  assert.equal(await how(), null);
  serves(main);
  later(24);
  assert.equal(await how(), null);
  later(1);
  assert.deepEqual(await how(), plainly);
});
