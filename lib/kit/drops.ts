/** Milliseconds between two lines about the same thing. */
const QUIET = 10_000;

interface Dropped {
  count: number;
  timer: NodeJS.Timeout;
}

/**
 * Counts what could not be kept: the first is said at once, the others as a number, every ten seconds while there are more.
 */
export class Drops {
  readonly #dropped = new Map<string, Dropped>();
  readonly #say: (text: string) => void;

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  /** `what` is the begin of the line: `messages to worker#0, which does not read,`. */
  add(what: string, why = ''): void {
    const known = this.#dropped.get(what);
    if (known) {
      known.count++;
      return;
    }
    this.#dropped.set(what, { count: 0, timer: setTimeout(() => this.#sum(what), QUIET).unref() });
    this.#say(`${what} are dropped${why && `: ${why}`}`);
  }

  #sum(what: string): void {
    const dropped = this.#dropped.get(what);
    if (!dropped) return;
    if (dropped.count === 0) {
      this.#dropped.delete(what);
      return;
    }
    this.#say(`${what} were dropped: ${dropped.count} more`);
    dropped.count = 0;
    dropped.timer = setTimeout(() => this.#sum(what), QUIET).unref();
  }
}
