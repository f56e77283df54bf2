import type { ChildRole } from '../../ipc/messages.js';

/** What tells the place of the agent from that of a worker. */
export interface SlotPolicy {
  role: ChildRole;
  /** A successor comes up beside its predecessor, and a process that leaves is replaced while it drains; else one after the other. */
  overlaps: boolean;
  /** Which of the deadlines it has to close. */
  deadline: 'drain' | 'agent';
  /** Shortest wait before a dead process is forked again, ms. */
  floor: number;
  /** Deaths count against `refork.limit`, and taps are asked what to do about them. */
  counted: boolean;
}

export const policies: Readonly<Record<ChildRole, SlotPolicy>> = {
  agent: { role: 'agent', overlaps: false, floor: 1_000, counted: false, deadline: 'agent' },
  worker: { role: 'worker', overlaps: true, floor: 0, counted: true, deadline: 'drain' },
};

export interface ReforkOptions {
  /** Deaths of workers within `duration` that reach the limit. */
  limit: number;
  /** Milliseconds. A worker that stays up this long starts afresh. */
  duration: number;
  /** Milliseconds. */
  minDelay: number;
  /** Milliseconds. */
  maxDelay: number;
}

/** Deaths in a row that are replaced at once, before the delay starts to grow. */
const AT_ONCE = 2;
/** First step of the growing delay, ms; it doubles with each death. */
const FIRST_STEP = 100;

/** Milliseconds to wait before a slot is forked again, after `streak` deaths in a row (1 = the first). */
export function reforkDelay(streak: number, { minDelay, maxDelay }: ReforkOptions): number {
  const grown = streak <= AT_ONCE ? 0 : FIRST_STEP * 2 ** Math.min(streak - AT_ONCE - 1, 30);
  return Math.min(Math.max(grown, minDelay), Math.max(maxDelay, minDelay));
}

/** The streak after a death: one more, or the first again when the process had stayed up for `duration`. */
export function nextStreak(streak: number, uptime: number, { duration }: ReforkOptions): number {
  return uptime >= duration ? 1 : streak + 1;
}

/** Times (ms) of deaths that still count. */
export function inWindow(history: readonly number[], now: number, { duration }: ReforkOptions): number[] {
  return history.filter((time) => now - time < duration);
}

/** The unexpected deaths of all workers together. */
export class Deaths {
  /** Times (ms since the epoch) of those that still count. */
  times: number[] = [];
  #limited = false;

  /** Counts one more. `reached` is said once; `above` until there are fewer again. */
  add(now: number, options: ReforkOptions): 'below' | 'reached' | 'above' {
    this.times = [...inWindow(this.times, now, options), now];
    const before = this.#limited;
    this.#limited = this.times.length >= options.limit;
    return !this.#limited ? 'below' : before ? 'above' : 'reached';
  }
}
