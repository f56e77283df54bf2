import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Lease } from '../../lib/runtime.js';
import type { Moment } from '../../plugins/hosts/held-lease.js';
import { Leases, type Registry } from '../../plugins/hosts/leases.js';
import type { Granted } from '../../plugins/hosts/link.js';

const TTL = 10_000;
const quiet = { info: () => {}, warn: () => {}, debug: () => {} };

interface Asked<T> { args: unknown[]; resolve(value: T): void; reject(error: unknown): void }

/** A registry whose answers are the test's, and a clock that is too. */
class World {
  readonly acquires: Asked<Granted>[] = [];
  readonly renewals: Asked<boolean>[] = [];
  readonly releases: unknown[][] = [];
  readonly leases: Leases;
  /** Ahead of the steady clock, ms: the machine has slept. */
  slept = 0;
  readonly #timers: TestContext['mock']['timers'];
  #now = 0;

  constructor(t: TestContext) {
    this.#timers = t.mock.timers;
    this.#timers.enable({ apis: ['setTimeout'] });
    const asked = <T>(list: Asked<T>[]) => (...args: unknown[]) =>
      new Promise<T>((resolve, reject) => list.push({ args, resolve, reject }));
    const registry: Registry = {
      acquire: asked(this.acquires), renew: asked(this.renewals),
      release: async (...args: unknown[]) => { this.releases.push(args); },
    };
    this.leases = new Leases({
      registry: Promise.resolve(registry), ttl: TTL, holder: 'me', logger: quiet,
      now: (): Moment => ({ steady: this.#now, wall: this.#now + this.slept }),
    });
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      this.#now += Math.min(left, 50);
      this.#timers.tick(Math.min(left, 50));
      await turn();
    }
  }

  /** A lease that was asked for at once and had after `took` ms. */
  async lease(took = 0, signal?: AbortSignal): Promise<Lease> {
    const wanted = this.leases.lead('job', { signal });
    await turn();
    await this.pass(took);
    this.acquires.at(-1)!.resolve({ token: 5, wait: 0, highest: 5 });
    return wanted;
  }
}

test('a lease counts from the moment at which it was asked for', async (t) => {
  const world = new World(t);
  const lease = await world.lease(3_000);
  assert.deepEqual([lease.name, lease.token, lease.valid], ['job', 5, true]);
  await world.pass(5_900);
  assert.equal(lease.valid, true);
  await world.pass(100);
  assert.equal(lease.valid, false);
  assert.equal((lease.signal.reason as { code: string }).code, 'ERR_CLUSTER_LEASE_LOST');
});

test('each renewal counts from the moment at which it was asked for', async (t) => {
  const world = new World(t);
  const lease = await world.lease();
  await world.pass(3_334);
  assert.equal(world.renewals.length, 1);
  await world.pass(2_000);
  world.renewals[0]!.resolve(true);
  await turn();
  await world.pass(6_900);
  assert.equal(lease.valid, true);
  await world.pass(200);
  assert.equal(lease.valid, false);
});

test('a lease that Redis does not know is lost at once', async (t) => {
  const world = new World(t);
  const lease = await world.lease();
  await world.pass(3_334);
  world.renewals[0]!.resolve(false);
  await turn();
  assert.equal(lease.signal.aborted, true);
  assert.equal(lease.valid, false);
});

test('a renewal that fails is tried again, and what comes after the end changes nothing', async (t) => {
  const world = new World(t);
  const lease = await world.lease();
  await world.pass(3_334);
  world.renewals[0]!.reject(new Error('Redis cannot be reached'));
  await turn();
  await world.pass(500);
  assert.equal(world.renewals.length, 2);
  await world.pass(6_000);
  assert.equal(lease.valid, false);
  world.renewals[1]!.resolve(true);
  await turn();
  assert.equal(lease.valid, false);
  assert.deepEqual(world.releases, [['job', 5, 'me/1']]);
});

test('after the machine has slept it is not valid, before any timer has run', async (t) => {
  const world = new World(t);
  const lease = await world.lease();
  world.slept = 9_000;
  assert.equal(lease.valid, false);
  assert.equal(lease.signal.aborted, true);
});

test('an answer that comes after its time is no lease; it is let go, and asked for under another name', async (t) => {
  const world = new World(t);
  let had: Lease | undefined;
  void world.leases.lead('job').then((lease) => { had = lease; });
  await turn();
  await world.pass(9_000);
  world.acquires[0]!.resolve({ token: 5, wait: 0, highest: 5 });
  await turn();
  assert.deepEqual([had, world.releases], [undefined, [['job', 5, 'me/1']]]);
  await world.pass(100);
  assert.deepEqual(world.acquires[1]!.args, ['job', 'me/2', 5]);
});

test('an answer that is lost is asked for again under the same name: it may be had already', async (t) => {
  const world = new World(t);
  void world.leases.lead('job');
  await turn();
  world.acquires[0]!.reject(new Error('lost'));
  await turn();
  await world.pass(600);
  assert.deepEqual(world.acquires.map(({ args }) => args), [['job', 'me/1', 0], ['job', 'me/1', 0]]);
});

test('who waits asks again when it was told to, or at once when it is free; with the highest token that it knows', async (t) => {
  const world = new World(t);
  void world.leases.lead('job');
  await turn();
  world.acquires[0]!.resolve({ token: 0, wait: 4_000, highest: 7 });
  await turn();
  await world.pass(3_999);
  assert.equal(world.acquires.length, 1);
  await world.pass(101);
  assert.deepEqual(world.acquires[1]!.args, ['job', 'me/1', 7]);
  world.acquires[1]!.resolve({ token: 0, wait: 9_000, highest: 7 });
  await turn();
  world.leases.free('another');
  await turn();
  assert.equal(world.acquires.length, 2);
  world.leases.free('job');
  await turn();
  assert.equal(world.acquires.length, 3);
});

test('two who wait for one name in a process are two', async (t) => {
  const world = new World(t);
  void world.leases.lead('job');
  void world.leases.lead('job');
  await turn();
  assert.deepEqual(world.acquires.map(({ args }) => args[1]), ['me/1', 'me/2']);
});

test('a signal ends the waiting with its reason; a lease that comes after it is let go', async (t) => {
  const world = new World(t);
  const abort = new AbortController();
  const wanted = world.leases.lead('job', { signal: abort.signal });
  await turn();
  abort.abort(new Error('no more'));
  await assert.rejects(wanted, { message: 'no more' });
  world.acquires[0]!.resolve({ token: 5, wait: 0, highest: 5 });
  await turn();
  assert.deepEqual(world.releases, [['job', 5, 'me/1']]);
  await assert.rejects(world.leases.lead('job', { signal: abort.signal }), { message: 'no more' });
});

test('what is let go is not valid from that moment on, and is let go once', async (t) => {
  const world = new World(t);
  const lease = await world.lease();
  const released = lease.release();
  assert.deepEqual([lease.valid, lease.signal.aborted], [false, true]);
  await Promise.all([released, lease.release()]);
  await world.pass(20_000);
  assert.deepEqual([world.releases.length, world.renewals.length], [1, 0]);
});

test('a process that closes lets all go, and nobody in it waits', async (t) => {
  const world = new World(t);
  const lease = await world.lease();
  const wanted = world.leases.lead('other');
  await turn();
  const closed = world.leases.close();
  await assert.rejects(wanted, { code: 'ERR_CLUSTER_CLOSING' });
  await closed;
  assert.equal(lease.valid, false);
  assert.deepEqual(world.releases, [['job', 5, 'me/1']]);
  await assert.rejects(world.leases.lead('job'), { code: 'ERR_CLUSTER_CLOSING' });
});

test('wrong arguments are refused with a line', async (t) => {
  const { leases } = new World(t);
  for (const name of ['', 7, undefined, 'x'.repeat(201)]) {
    await assert.rejects(leases.lead(name as string), { code: 'ERR_CLUSTER_USAGE', message: /^context\.lead: expected a name/ });
  }
  await assert.rejects(leases.lead('job', { signal: 5 as never }), { code: 'ERR_CLUSTER_USAGE', message: /AbortSignal/ });
  await assert.rejects(leases.lead('job', 5 as never), { code: 'ERR_CLUSTER_USAGE', message: /options/ });
});
