/** A flood of changes (a checkout, a build) is waited for, but not longer than this, ms. */
const LONGEST = 1_000;
/** A file that changes this often in a row, each time while the app starts or this soon after (ms), is most likely written by the app. */
const SUSPICIOUS = 10;
const RIGHT_AFTER = 100;
/** A loop of reloads turns slowly: the wait after such a change, ms. */
const SLOWLY = 1_000;

/** Collects changed files until they come no more. */
export class Changes {
  readonly #debounce: number;
  readonly #settled: () => void;
  readonly #files = new Set<string>();
  readonly #streaks = new Map<string, number>();
  /** No more of them have come for a while. */
  due = false;
  #since = 0;
  #startedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(debounce: number, settled: () => void) {
    this.#debounce = debounce;
    this.#settled = settled;
  }

  get pending(): boolean {
    return this.#files.size > 0;
  }

  /** Returns true when the file is worth a warning: it changes at each start. */
  add(file: string): boolean {
    const now = performance.now();
    const known = this.#files.has(file);
    if (this.#files.size === 0) this.#since = now;
    this.#files.add(file);
    const streak = known ? this.#streaks.get(file) ?? 0 : now - this.#startedAt < RIGHT_AFTER ? (this.#streaks.get(file) ?? 0) + 1 : 0;
    this.#streaks.set(file, streak);
    this.due = false;
    clearTimeout(this.#timer);
    const wait = streak > SUSPICIOUS ? SLOWLY : this.#debounce;
    this.#timer = setTimeout(() => {
      this.due = true;
      this.#settled();
    }, Math.max(0, Math.min(wait, this.#since + LONGEST - now)));
    return !known && streak === SUSPICIOUS;
  }

  /** The workers have started on what was taken. */
  started(): void {
    this.#startedAt = performance.now();
  }

  take(): string[] {
    const files = [...this.#files];
    this.#files.clear();
    return files;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
