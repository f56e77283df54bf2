import { LAST_LINES } from '../../ipc/messages.js';

/** What a child may take longer than its deadline before it is killed, ms. */
const MARGIN = 500;
/** Milliseconds by which a timer is late where the loop was held up: what has come meanwhile is heard before anybody is killed. */
const HELD_UP = 50;

/** How long a process may take to start, or to close, with one timer, which ends with the state that it belongs to. */
export class TimeLimit {
  /** When it will be killed, `performance.now()`; null while it does not drain. */
  killAt: number | null = null;
  /** Its deadline to close has passed: what that was, ms. */
  overdue: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  /** When the timer fires, `performance.now()`. */
  #at = 0;
  /** When it would where nothing but streams is left. */
  #streamsAt = 0;
  #isRead = false;
  readonly #guard: (then: () => void) => () => void;
  readonly #kill: () => void;

  constructor(guard: (then: () => void) => () => void, kill: () => void) {
    this.#guard = guard;
    this.#kill = kill;
  }

  get armed(): boolean {
    return this.#timer !== undefined;
  }

  /** Milliseconds that it still has to close. */
  get left(): number {
    return Math.max(0, this.#at - MARGIN - performance.now());
  }

  arm(ms: number, then: () => void = this.#kill): void {
    this.disarm();
    this.#at = performance.now() + ms;
    const over = this.#guard(then);
    this.#timer = setTimeout(() => {
      if (performance.now() - this.#at < HELD_UP) over();
      else this.#turn = setImmediate(over);
    }, ms);
  }

  disarm(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.#timer = undefined;
  }

  /** It is to close within `ms`, or within `streams` ms once nothing but streams is left of it. */
  drain(ms: number, streams = ms): void {
    this.#streamsAt = performance.now() + streams + MARGIN;
    this.killAt = performance.now() + ms + MARGIN;
    this.arm(ms + MARGIN, () => {
      this.overdue = ms;
      this.#kill();
    });
  }

  /** A second word, with less patience: streams have no more time than the rest. */
  hasten(): void {
    this.#streamsAt = this.#at;
  }

  /** Nothing but streams is left; false where they have no more time than the rest, and nothing changes. */
  forStreams(): boolean {
    if (this.#streamsAt <= this.#at) return false;
    this.drain(this.#streamsAt - MARGIN - performance.now());
    return true;
  }

  /** It has done its part: who reads its output slowly is no reason to kill it sooner. Counts once. */
  forReader(): void {
    if (this.#isRead) return;
    this.#isRead = true;
    this.arm(Math.max(this.#at - performance.now(), LAST_LINES + MARGIN));
  }
}
