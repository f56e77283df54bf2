import type { WorkerRange } from '../../lib/index.js';

/** A connection that has waited so long (ms) for a worker asks for another one. */
export const LONG_WAIT = 20;
/** A worker that has said nothing for so long (ms) turns no more; what asks for its event loop is not known any more. */
const SILENT = 1_000;
/** Shares of the time that an event loop is busy: over the first one there is too much to do, below the second too little. */
export const BUSY = 0.8;
export const IDLE = 0.3;
/** Together so many ms over BUSY: two samples, but for what their timers are off. */
const STAYS = 400;
/** A connection waits at each look for so long (ms), two looks: at one it may be a pause of the garbage collector. */
const AGAIN = 200;
/** No such pause is so long, ms. */
const TOO_LONG = 100;
/** Down, and soon up again: that was wrong, and the next one waits twice as long, up to so many times `quiet`. */
const LONGEST = 16;
/** A share of `quiet`, and at most so many ms: over that time the load of a slot is evened out before it is called little. */
const EVENED = { share: 1 / 4, most: 5_000 };

/** What is asked of one worker, from the samples of its event loop. */
export class Load {
  /** Busy without a break for so long, ms. */
  over = 0;
  #level: number | null = null;
  readonly #evened: number;

  /** `quiet` in ms. */
  constructor(quiet: number) {
    this.#evened = Math.min(quiet * EVENED.share, EVENED.most);
  }

  /** Evened out, 0..1; 1 as long as nothing is known. */
  get level(): number {
    return this.#level ?? 1;
  }

  get stays(): boolean {
    return this.over >= STAYS;
  }

  /** It was busy for this share of the last `ms`; true: it stays busy. */
  add(share: number, ms: number): boolean {
    this.over = share > BUSY ? this.over + ms : 0;
    this.#level = this.#level === null ? share : this.#level + (share - this.#level) * (1 - Math.exp(-ms / this.#evened));
    return this.stays;
  }
}

/** What the master sees at one moment; times in ms. */
export interface Look {
  now: number;
  workers: number;
  /** Each slot has a worker that is ready: who waits, waits for one that is busy. */
  complete: boolean;
  /** How long the connection that waits longest has waited. */
  wait: number;
  /** How long the worker that was heard last of all has said nothing. */
  silence: number;
  loads: readonly Pick<Load, 'stays' | 'level'>[];
}

export type Cause = 'connection' | 'utilization' | 'silence' | 'quiet' | 'range';

/** A change of the number of workers. */
export interface Move {
  from: number;
  to: number;
  cause: Cause;
  /** In words. */
  why: string;
}

/**
 * How many workers there should be, from what is seen of them; nothing but arithmetic, so that it can be tried with any load
 * (test/unit/adaptive-flapping.test.ts). It cannot flap: a worker is taken away after `quiet` without a move of any kind, one at a
 * time; what all of them do below IDLE, one less does below BUSY; and one that was missed soon makes the next wait twice as long.
 */
export class Policy {
  readonly #range: () => WorkerRange;
  /** The fewest since somebody has scaled. */
  #floor = 0;
  /** What was seen before is forgotten. */
  #since = -Infinity;
  /** When somebody waited for the first of some looks in a row. */
  #pressingSince: number | null = null;
  /** Since then little is asked, and the number is what it is; null: more is asked. */
  #quietSince: number | null = null;
  /** So many times `quiet` is waited for. */
  #times = 1;
  /** When one was taken away, where that has not been proved right or wrong yet. */
  #downAt: number | null = null;
  /** At the most, and still more is asked. */
  short = false;

  constructor(range: () => WorkerRange) {
    this.#range = range;
  }

  /** The range that holds now. */
  get range(): WorkerRange {
    const { min, max, quiet } = this.#range();
    return { min: this.isScaled ? this.#floor : min, max, quiet };
  }

  /** Somebody has said the fewest, and the range has it. */
  get isScaled(): boolean {
    const { min, max } = this.#range();
    return this.#floor >= min && this.#floor <= max;
  }

  /** From now on there are not fewer: somebody has said so. */
  set floor(workers: number) {
    this.#floor = workers;
  }

  /** What was seen until now belongs to another number of workers, or to other processes. */
  forget(now: number): void {
    this.#since = now;
    this.#pressingSince = null;
    this.#quietSince = null;
  }

  /** Null: the number is right. Whoever gets a move makes it, or lets it be; the next one has its own reasons. */
  judge(look: Look): Move | null {
    const move = this.#outside(look) ?? this.#up(look) ?? this.#down(look);
    if (!move) return null;
    this.forget(look.now);
    if (move.cause !== 'range') this.#learn(move, look.now);
    return move;
  }

  /** Whether the last one that was taken away is missed. */
  #learn({ from, to }: Move, now: number): void {
    const before = this.#downAt;
    this.#downAt = to < from ? now : null;
    if (before === null) return;
    const wasWrong = to > from && now - before < 2 * this.#times * this.range.quiet;
    this.#times = wasWrong ? Math.min(LONGEST, this.#times * 2) : Math.max(1, this.#times / 2);
  }

  #outside({ workers }: Look): Move | null {
    const { min, max } = this.range;
    const to = Math.min(max, Math.max(min, workers));
    return to === workers ? null : { from: workers, to, cause: 'range', why: `there are to be ${min} to ${max}` };
  }

  #up(look: Look): Move | null {
    const { workers } = look;
    const asks = this.#asks(look);
    this.short = asks !== null && workers >= this.range.max;
    if (asks) this.#quietSince = null;
    return asks && !this.short ? { from: workers, to: workers + 1, ...asks } : null;
  }

  #asks({ now, complete, wait, silence, loads }: Look): Pick<Move, 'cause' | 'why'> | null {
    const waits = complete && wait > LONG_WAIT;
    const silent = silence > SILENT;
    this.#pressingSince = waits || silent ? this.#pressingSince ?? now : null;
    if (now - this.#since >= STAYS && loads.some(({ stays }) => stays)) {
      return { cause: 'utilization', why: `an event loop stays over ${BUSY} busy` };
    }
    if (this.#pressingSince === null || (now - this.#pressingSince < AGAIN && !(waits && wait > TOO_LONG))) return null;
    if (waits) return { cause: 'connection', why: `a connection waited ${Math.round(wait)} ms for a worker` };
    return { cause: 'silence', why: `a worker has been blocked for ${Math.round(silence)} ms` };
  }

  #down({ now, workers, complete, silence, loads }: Look): Move | null {
    const { min, quiet } = this.range;
    const little = complete && silence <= SILENT && loads.length === workers && loads.every(({ level }) => level < IDLE);
    this.#quietSince = little ? this.#quietSince ?? now : null;
    const long = quiet * this.#times;
    if (this.#quietSince === null || now - this.#quietSince < long || workers <= min) return null;
    return { from: workers, to: workers - 1, cause: 'quiet', why: `each event loop was busy below ${IDLE} for ${long / 1_000} s` };
  }
}
