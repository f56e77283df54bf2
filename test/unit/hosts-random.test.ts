import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Lease } from '../../lib/runtime.js';
import { Leases, type Registry } from '../../plugins/hosts/leases.js';
import type { Granted } from '../../plugins/hosts/link.js';

const TTL = 10_000;
const STEP = 50;
const quiet = { info: () => {}, warn: () => {}, debug: () => {} };

/** The same numbers for the same seed. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

interface Held { token: number; holder: string; until: number }

/** What the scripts do in Redis, with its times; it dies, and comes back with nothing, or with what it was some time ago. */
class ModelRedis {
  now = 0;
  #run = 1;
  #state: { held: Held | null; last: number; era: { run: number; since: number } } = { held: null, last: 0, era: { run: 0, since: 0 } };
  #saved = structuredClone(this.#state);

  acquire(holder: string, floor: number): Granted {
    const { era } = this.#state;
    if (era.run !== this.#run) this.#state.era = { run: this.#run, since: this.now };
    const held = this.#held;
    if (held?.holder === holder) return this.#hold(held);
    if (held) return { token: 0, wait: held.until - this.now, highest: Math.max(held.token, this.#state.last, floor) };
    const left = this.#state.era.since + TTL - this.now;
    if (left > 0) return { token: 0, wait: left, highest: Math.max(this.#state.last, floor) };
    this.#state.last = Math.max(this.now * 1_000, this.#state.last + 1, floor + 1);
    return this.#hold({ token: this.#state.last, holder, until: 0 });
  }

  renew(token: number, holder: string): boolean {
    const held = this.#held;
    if (held?.holder !== holder || held.token !== token) return false;
    this.#hold(held);
    return true;
  }

  release(token: number, holder: string): void {
    if (this.#held?.holder === holder && this.#held.token === token) this.#state.held = null;
  }

  save(): void {
    this.#saved = structuredClone(this.#state);
  }

  die(keeps: boolean): void {
    this.#run++;
    this.#state = keeps ? structuredClone(this.#saved) : { held: null, last: 0, era: { run: 0, since: 0 } };
  }

  get #held(): Held | null {
    return this.#state.held && this.#state.held.until > this.now ? this.#state.held : null;
  }

  #hold({ token, holder }: Held): Granted {
    this.#state.held = { token, holder, until: this.now + TTL };
    return { token, wait: 0, highest: token };
  }
}

async function live(t: TestContext, seed: number, steps: number): Promise<number> {
  const random = numbers(seed);
  const { timers } = t.mock;
  timers.enable({ apis: ['setTimeout'] });
  const redis = new ModelRedis();
  const later = (ms: number) => new Promise<void>((resolve) => { setTimeout(resolve, ms); });
  /** Most are quick, some take longer than a lease, some are lost on either way, and one may pass another. */
  const way = async <T>(task: () => T): Promise<T> => {
    const slow = random() < 0.1 ? 2 * TTL : 100;
    await later(random() * slow);
    if (random() < 0.05) throw new Error('lost');
    const answer = task();
    await later(random() * slow);
    if (random() < 0.05) throw new Error('lost');
    return answer;
  };
  const registry: Registry = {
    acquire: (_, holder, floor) => way(() => redis.acquire(holder, floor)),
    renew: (_, token, holder) => way(() => redis.renew(token, holder)),
    release: (_, token, holder) => way(() => redis.release(token, holder)),
  };
  const held = new Map<number, Lease>();
  const all = Array.from({ length: 4 }, (_, at) => {
    // No two clocks run alike.
    const rate = 0.97 + random() * 0.06;
    return new Leases({
      registry: Promise.resolve(registry), ttl: TTL, holder: `p${at}`, logger: quiet,
      now: () => ({ steady: redis.now * rate, wall: redis.now * rate }),
    });
  });
  const leadAlways = async (at: number): Promise<void> => {
    for (;;) {
      const lease = await all[at]!.lead('job');
      held.set(at, lease);
      await Promise.race([later(random() * 4 * TTL), new Promise((resolve) => lease.signal.addEventListener('abort', resolve))]);
      await lease.release();
    }
  };
  all.forEach((_, at) => { leadAlways(at).catch(() => {}); });

  let highest = 0;
  const tokens = new Set<number>();
  for (let step = 0; step < steps; step++) {
    redis.now += STEP;
    timers.tick(STEP);
    await turn();
    if (random() < 0.002) redis.save();
    if (random() < 0.002) redis.die(random() < 0.5);
    const valid = [...held].filter(([, lease]) => lease.valid);
    assert.ok(valid.length <= 1, `seed ${seed}, step ${step}: ${valid.map(([at, { token }]) => `p${at} ${token}`).join(', ')}`);
    for (const [, { token }] of valid) {
      assert.ok(token >= highest, `seed ${seed}, step ${step}: ${token} after ${highest}`);
      highest = token;
      tokens.add(token);
    }
  }
  for (const leases of all) void leases.close();
  timers.tick(60_000);
  await turn();
  return tokens.size;
}

for (const seed of [1, 2, 3, 4]) {
  test(`of processes whose words are slow, lost and out of order, no two lead, whatever Redis forgets (${seed})`, async (t) => {
    const leaders = await live(t, seed, 20_000);
    assert.ok(leaders > 20, `${leaders} have led`);
  });
}
