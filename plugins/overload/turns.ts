/** A turn of the event loop that is shorter (ms) is none that anybody waits for. */
const SHORT = 1;
/** How much of the length of those before is in that of all, after another one. */
const OLD = 0.8;

/**
 * How long a request has waited for the event loop: its bytes lay in the kernel while the turn before was under way, and then those
 * that came with it went first. Turns are followed only as long as they are busy ones: a loop that has nothing to do is left asleep.
 */
export class Turns {
  /** Counts turns; two that are next to each other differ by one. */
  count = 0;
  /** How long one is, evened out, ms: in each a worker takes one connection from the master. */
  length = 0;
  #begun = 0;
  #before = 0;
  #follows = false;

  /** Something has come at `now` (performance.now()): how long it has waited in the mean, ms. */
  wait(now: number): number {
    if (this.#follows) return now - (this.#before + this.#begun) / 2;
    this.#follows = true;
    this.#before = this.#begun = now;
    setImmediate(this.#turned);
    return 0;
  }

  #turned = (): void => {
    const now = performance.now();
    const length = now - this.#begun;
    const isBusy = length >= SHORT;
    this.length = this.length * OLD + length * (1 - OLD);
    this.#before = this.#begun;
    this.#begun = now;
    this.#follows = isBusy;
    // Nobody knows how many go by unseen.
    this.count += isBusy ? 1 : 2;
    if (isBusy) setImmediate(this.#turned);
  };
}
