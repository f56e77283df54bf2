import assert from 'node:assert/strict';
import test from 'node:test';
import { addressKey } from '../../plugins/sticky-session/address-key.js';
import { best, hashText } from '../../plugins/sticky-session/rendezvous.js';

const sets = {
  IPv4: Array.from({ length: 1_000 }, (_, n) => `10.0.${n >> 8}.${n & 255}`),
  IPv6: Array.from({ length: 1_000 }, (_, n) => `2001:db8:${(n >> 8).toString(16)}:${(n & 255).toString(16)}::1`),
  cookies: Array.from({ length: 1_000 }, (_, n) => `session-${n}`),
};
const keysOf = (name: string, set: string[]) => set.map(name === 'cookies' ? hashText : addressKey);

for (const [name, set] of Object.entries(sets)) {
  for (const slots of [4, 8]) {
    test(`1,000 of ${name} over ${slots} slots: the fullest has less than 1.25 times its share`, () => {
      const counts = new Array<number>(slots).fill(0);
      for (const key of keysOf(name, set)) counts[best(key, slots)!]!++;
      assert.ok(Math.max(...counts) < 1.25 * set.length / slots, String(counts));
      assert.ok(Math.min(...counts) > set.length / slots / 1.25, String(counts));
    });
  }

  test(`a slot that is away moves its own keys of ${name} alone, to all others; a slot more takes its share from all`, () => {
    const targets = new Set<number>();
    let taken = 0;
    for (const key of keysOf(name, set)) {
      const before = best(key, 8)!;
      const without = best(key, 8, (slot) => slot === 3)!;
      if (before === 3) targets.add(without);
      else assert.equal(without, before);
      const more = best(key, 9)!;
      if (more !== before) {
        assert.equal(more, 8);
        taken++;
      }
    }
    assert.equal(targets.size, 7);
    assert.ok(taken > 60 && taken < 170, String(taken));
  });
}

test('with no slot left there is none', () => {
  assert.equal(best(1, 4, () => true), undefined);
  assert.equal(best(1, 0), undefined);
});
