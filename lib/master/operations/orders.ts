/**
 * What signals and messages ask for. Nobody is there who could be told to try again later, so an order waits until the
 * master is free, in its turn; a further one of the same name, while one waits, is the same one.
 */
export class Orders {
  readonly #waiting = new Set<string>();
  readonly #free: () => Promise<void>;
  #last: Promise<unknown> = Promise.resolve();

  /** `free` resolves when the master has started and nothing is under way. */
  constructor(free: () => Promise<void>) {
    this.#free = free;
  }

  /** `run` tells its failures itself. Without a `name` each order counts. */
  add(run: () => Promise<unknown>, name?: string): void {
    if (name !== undefined) {
      if (this.#waiting.has(name)) return;
      this.#waiting.add(name);
    }
    this.#last = this.#last.then(this.#free).then(() => {
      if (name !== undefined) this.#waiting.delete(name);
      return run();
    });
  }
}
