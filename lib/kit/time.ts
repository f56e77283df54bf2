/**
 * Runs `task` with a time limit in ms; rejects with `late()` when it is over. The task itself goes on: what it does then is
 * nobody's business any more. The timer ends with it.
 */
export async function inTime<T>(limit: number, task: () => Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(late()), limit); });
  try {
    return await Promise.race([task(), deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves with the promise, or after `limit` ms: true when the promise was first. A rejection is passed on. */
export async function atMost(limit: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<boolean>((resolve) => { timer = setTimeout(() => resolve(false), limit); });
  try {
    return await Promise.race([promise.then(() => true), over]);
  } finally {
    clearTimeout(timer);
  }
}

/** Different lengths of time that have a timer each though nothing waits for it: more of them are ended as soon as nothing does. */
const IDLE_ROWS = 32;

class Row<Key> {
  /** When each is late, the next one first. */
  readonly due = new Map<Key, number>();
  timer: NodeJS.Timeout | undefined;
}

/**
 * Time limits of many things, of few different lengths: one timer for each length. A timer for each of 100,000 requests a second
 * would be 0.3 of the 6 us that one costs who asks. As timers do, it keeps the process up while anything waits.
 */
export class TimeLimits<Key> {
  readonly #late: (key: Key) => void;
  readonly #rows = new Map<number, Row<Key>>();

  /** `late`: called with each that was not deleted in time. */
  constructor(late: (key: Key) => void) {
    this.#late = late;
  }

  /** `limit` in ms, and the same where it is deleted. */
  add(key: Key, limit: number): void {
    let row = this.#rows.get(limit);
    if (!row) this.#rows.set(limit, row = new Row());
    if (row.due.size === 0) this.#watch(row, limit);
    row.due.set(key, performance.now() + limit);
  }

  delete(key: Key, limit: number): void {
    const row = this.#rows.get(limit);
    if (!row?.due.delete(key) || row.due.size > 0) return;
    if (this.#rows.size <= IDLE_ROWS) return void row.timer?.unref();
    clearTimeout(row.timer);
    this.#rows.delete(limit);
  }

  #watch(row: Row<Key>, limit: number): void {
    if (row.timer) row.timer.ref();
    else row.timer = setTimeout(() => this.#look(row, limit), limit);
  }

  #look(row: Row<Key>, limit: number): void {
    row.timer = undefined;
    const now = performance.now();
    for (const [key, due] of row.due) {
      // Timers of Node are early by what is less than a millisecond.
      if (due - now >= 1) return void (row.timer ??= setTimeout(() => this.#look(row, limit), due - now));
      row.due.delete(key);
      this.#late(key);
    }
    if (row.timer === undefined && this.#rows.get(limit) === row) this.#rows.delete(limit);
  }
}
