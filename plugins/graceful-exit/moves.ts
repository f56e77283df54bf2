/** Who looks late has more that are due; at one look go at most so many ms' worth of them. */
const AT_ONCE = 130;

/**
 * When each of those is to go that come back by themselves: all that are due at the same look, evenly over a time, as
 * their clients would otherwise come back in one wave.
 */
export class Moves {
  readonly #at = new WeakMap<object, number>();
  /** So many there were at once. */
  #most = 0;

  /** Which of these go now. `now` as performance.now(), `within` in ms; 0: all of them. */
  due<One extends { readonly key: object }>(all: readonly One[], now: number, within: number): One[] {
    const fresh = all.filter(({ key }) => !this.#at.has(key));
    fresh.forEach(({ key }, index) => this.#at.set(key, now + within * (index / fresh.length)));
    if (within === 0) return [...all];
    this.#most = Math.max(this.#most, all.length);
    const due = all.filter(({ key }) => (this.#at.get(key) ?? now) <= now);
    return due.slice(0, Math.max(1, Math.round(this.#most * AT_ONCE / within)));
  }
}
