import assert from 'node:assert/strict';
import test from 'node:test';
import { kindOf, type Exchange, type Kind } from '../../plugins/graceful-exit/exchange.js';
import { Moves } from '../../plugins/graceful-exit/moves.js';
import { Stillness } from '../../plugins/graceful-exit/stillness.js';

const exchange = (more: Partial<Exchange>): Exchange => ({
  method: 'GET', url: '/', age: 0, flows: true, subscribes: false, poll: null, still: 0, key: {}, socket: null, cut() {}, ...more,
});

const cases: [string, Partial<Exchange>, Kind][] = [
  ['an answer that has not begun', { flows: false }, 'request'],
  ['one that has, however old', { age: 3_600_000 }, 'stream'],
  ['a byte within 60 s', { still: 59_999 }, 'stream'],
  ['none within 60 s', { still: 60_000 }, 'request'],
  ['a young subscription', { subscribes: true, age: 59_999 }, 'stream'],
  ['a young one that has stalled', { subscribes: true, age: 59_999, still: 60_000 }, 'request'],
  ['an old subscription', { subscribes: true, age: 60_000 }, 'subscription'],
  ['a poll of a session', { flows: false, poll: 'sid' }, 'subscription'],
  ['an old one that has stalled', { subscribes: true, age: 60_000, still: 90_000 }, 'subscription'],
];

for (const [name, more, kind] of cases) {
  test(`${name}: ${kind}`, () => assert.equal(kindOf(exchange(more), 60_000), kind));
}

test('a stream is still from the last look that saw a byte', () => {
  const stillness = new Stillness();
  const one = {};
  const at = (now: number, bytes: number) => stillness.of(one, bytes, 'answering', now).still;
  assert.deepEqual([at(1_000, 10), at(30_000, 10), at(50_000, 11), at(109_999, 11), at(110_000, 11)], [0, 29_000, 0, 59_999, 60_000]);
});

test('what is to come back goes evenly, and a late look does not send all that has become due at once', () => {
  const moves = new Moves();
  const all = Array.from({ length: 100 }, () => ({ key: {} }));
  const left = new Set(all);
  const look = (now: number) => {
    const due = moves.due([...left], now, 10_000);
    for (const one of due) left.delete(one);
    return due.length;
  };
  assert.deepEqual([look(0), look(100), look(200)], [1, 1, 1]);
  assert.equal(look(3_000), 1);
  for (let now = 3_100; now <= 13_000; now += 100) assert.ok(look(now) <= 1);
  assert.equal(left.size, 0);
  assert.equal(moves.due([{ key: {} }, { key: {} }, { key: {} }], 11_000, 0).length, 3);
});
