/**
 * When each of those is to go that come back by themselves: all that are due at the same look, evenly over a time, as
 * their clients would otherwise come back in one wave.
 */
export class Moves {
  readonly #at = new WeakMap<object, number>();

  /** Which of these go now. `now` as performance.now(), `within` in ms; 0: all of them. */
  due<One extends { readonly key: object }>(all: readonly One[], now: number, within: number): One[] {
    const fresh = all.filter(({ key }) => !this.#at.has(key));
    fresh.forEach(({ key }, index) => this.#at.set(key, now + within * (index / fresh.length)));
    return within === 0 ? [...all] : all.filter(({ key }) => (this.#at.get(key) ?? now) <= now);
  }
}
