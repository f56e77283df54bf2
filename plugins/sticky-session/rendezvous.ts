/**
 * Rendezvous hashing: each slot has a weight for a key and the heaviest one wins. A slot that comes or goes moves no key but
 * its own. Numbers are 32-bit; nothing is allocated, as this runs for each connection.
 */

/** The slot of `key` among `count` slots, without those `excluded`; undefined when all are. */
export function best(key: number, count: number, excluded?: (slot: number) => boolean): number | undefined {
  let found: number | undefined;
  let heaviest = -1;
  for (let slot = 0; slot < count; slot++) {
    const weight = mix(key ^ Math.imul(slot + 1, 0x9e3779b1));
    if (weight > heaviest && !excluded?.(slot)) {
      heaviest = weight;
      found = slot;
    }
  }
  return found;
}

/** FNV-1a over UTF-16 units, then mixed: keys that differ in one digit must not meet. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash);
}

/** Every bit of the result depends on every bit of `value` (the finalizer of MurmurHash3). */
export function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
