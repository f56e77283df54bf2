import assert from 'node:assert/strict';
import test from 'node:test';
import { renewed } from '../../lib/config/check.js';
import type { Config } from '../../lib/config/schema.js';
import { loadedWith } from '../helpers/fake-core.js';

const config = (keys: Partial<Config> = {}): Config => loadedWith(keys).config;
const waiting = (inForce: Partial<Config>, read: Partial<Config>, workers = 2) => renewed(config(read), config(inForce), workers).waiting;

test('keys that a master is made with stay as they are, and are named; the others change without a word', () => {
  const read = config({ title: 'b', balance: 'os', port: 2, startTimeout: 9 });
  const { config: next, waiting: lines } = renewed(read, config({ title: 'a', port: 1 }), 2);
  assert.deepEqual(lines, ['title: takes effect at a restart', 'balance: takes effect at a restart']);
  assert.deepEqual([next.title, next.balance, next.port, next.startTimeout], ['a', 'round-robin', 2, 9]);
});

test('workers: what the file says otherwise than at the start is named, unless scale has done it', () => {
  assert.deepEqual(waiting({ workers: 2 }, { workers: 2 }, 5), []);
  assert.deepEqual(waiting({ workers: 2 }, { workers: 4 }, 4), []);
  assert.deepEqual(waiting({ workers: 2 }, { workers: 4 }, 2), ['workers: takes effect at a restart; "scale 4" does it now']);
  assert.equal(renewed(config({ workers: 4 }), config({ workers: 2 }), 3).config.workers, 3);
});

test('workers: another range is no matter of a restart; one in place of a number is, and the other way round', () => {
  const range = (min: number, max: number) => ({ workers: min, plugins: { 'adaptive-workers': { min, max, quiet: 60_000 } } });
  const number = { workers: 4, plugins: { 'adaptive-workers': false } };
  assert.deepEqual(waiting(range(1, 4), range(2, 8), 3), []);
  assert.deepEqual(waiting(number, range(2, 8), 4), ['workers: takes effect at a restart']);
  assert.deepEqual(waiting(range(2, 8), number, 3), ['workers: takes effect at a restart']);
});

test('standby: how many may change where there are some; the first ones come with a restart', () => {
  const some = { standby: 1, plugins: { standby: true } };
  assert.deepEqual(waiting({ standby: 0, plugins: { standby: false } }, some), ['standby: takes effect at a restart']);
  assert.deepEqual(waiting(some, { ...some, standby: 2 }), []);
  assert.deepEqual(waiting(some, { standby: 0, plugins: { standby: false } }), []);
});

test('plugins: each option by its path; true and no options are the same', () => {
  const at = (path: string) => `${path}: takes effect at a restart`;
  assert.deepEqual(waiting({ plugins: { one: true } }, { plugins: { one: {} } }), []);
  assert.deepEqual(waiting({ plugins: { one: true } }, { plugins: { one: { size: 1 } } }), [at('plugins.one.size')]);
  assert.deepEqual(waiting({ plugins: { one: true } }, { plugins: { one: false, two: true } }), [at('plugins.one'), at('plugins.two')]);
  const deep = (b: number) => ({ plugins: { one: { in: { a: 1, b: [b] } } } });
  assert.deepEqual(waiting(deep(1), deep(2)), [at('plugins.one.in.b')]);
});

test('options that are no data: functions by their text, and what has none is taken for the same', () => {
  const make = (): Partial<Config> => {
    const circle: Record<string, unknown> = { pick: (one: number) => one };
    circle.self = [circle];
    return { plugins: { one: { filter: (one: number) => one > 1, circle, big: 1n } } };
  };
  assert.deepEqual(waiting(make(), make()), []);
  assert.deepEqual(waiting({ plugins: { one: { filter: () => 1 } } }, { plugins: { one: { filter: () => 2 } } }),
    ['plugins.one.filter: takes effect at a restart']);
});
