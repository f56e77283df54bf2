import { PRIORITIES, type Priority } from './priorities.js';

/** A limit is never below so many times what a request costs the event loop: one that is slow by itself waits for its like. */
const COSTS = { target: 4, interval: 20 };
/** And it grows by that to so many times what is configured at most. */
const LARGEST = 10;
/** Share of the target below which whoever comes has found nobody before him, so to speak. */
const EMPTY = 1 / 8;
/** Milliseconds of idleness that are none, between one message and the next. */
const LEAST = 0.5;
/** And so much of what a request costs is some. */
const SPARE = 1 / 4;
/** How much of what was known of a request's cost is still believed after a new figure. */
const OLD = 0.8;

export interface LimitOptions {
  /** Milliseconds that an ordinary request may wait, where all do. */
  target: number;
  /** Milliseconds that all of them must have waited longer for, before any is shed. */
  interval: number;
  /** Ordinary ones that may be under way at once. */
  requests?: number | undefined;
}

/**
 * When a worker has more to do than it can: nothing but arithmetic over what requests have waited. A burst fills a queue and clears;
 * a queue that stands is of no use to anybody, as each who comes waits and no more are answered for it. So it is over its limit once
 * nobody has waited less than `target` for as long as `interval` (CoDel, RFC 8289), and sheds from then on who has waited longer. It is
 * no more once somebody has found next to nobody before him and for `interval` from then on nobody has waited too long, or nobody has
 * come: a pause of whoever sends, or of the machine, is no end of what is too much, and it does not swing.
 */
export class Limit {
  /** More comes than can be answered. */
  over = false;
  /** Milliseconds of the event loop that a request takes, evened out; 0: not known. */
  cost = 0;
  readonly #options: LimitOptions;
  /** Since when each has waited too long; null: the last one has not. */
  #longSince: number | null = null;
  /** Since when nobody has, where one had found nobody before him. */
  #emptySince: number | null = null;
  #seenAt = -Infinity;

  constructor(options: LimitOptions) {
    this.#options = options;
  }

  /** Milliseconds. */
  get target(): number {
    return this.#grown(this.#options.target, COSTS.target);
  }

  /** Milliseconds. */
  get interval(): number {
    return this.#grown(this.#options.interval, COSTS.interval);
  }

  #grown(configured: number, costs: number): number {
    return Math.max(configured, Math.min(costs * this.cost, configured * LARGEST));
  }

  /**
   * The event loop was busy for so many ms, and has taken and shed so many requests meanwhile. Where most were shed it was busy with
   * them: what that makes of the others would have it take fewer, and so on.
   */
  worked(busy: number, requests: number, shed = 0): void {
    if (requests === 0 || shed > requests) return;
    const cost = busy / requests;
    this.cost = this.cost === 0 ? cost : this.cost * OLD + cost * (1 - OLD);
  }

  /** Somebody has come who has waited so long; times in ms. */
  saw(now: number, wait: number): void {
    this.look(now);
    this.#seenAt = now;
    if (wait > this.target) {
      this.#longSince ??= now;
      this.#emptySince = null;
      this.over ||= now - this.#longSince >= this.interval;
      return;
    }
    this.#longSince = null;
    if (wait <= this.target * EMPTY) this.#emptySince ??= now;
    if (this.#emptySince !== null && now - this.#emptySince >= this.interval) this.over = false;
  }

  /** Where nobody has come for a while, what was seen before says nothing any more. */
  look(now: number): void {
    if (now - this.#seenAt <= this.interval) return;
    this.#longSince = this.#emptySince = null;
    this.over = false;
  }

  /**
   * Whether one who has waited so long is to be served, beside so many that are under way. `idle`: ms that the event loop has had nothing
   * to do since the last one was taken. Where that was a good part of another one, what is slow is not this worker: all come to it late,
   * and who is shed makes room for nobody.
   */
  takes(priority: Priority, wait: number, underWay: number, idle: () => number): boolean {
    const share = PRIORITIES[priority];
    if (this.#options.requests !== undefined && underWay >= this.#options.requests * share) return false;
    return !this.over || wait <= this.target * share || idle() >= Math.max(this.cost * SPARE, LEAST);
  }
}
