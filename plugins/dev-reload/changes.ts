/** A flood of changes (a checkout, a build) is waited for, but not longer than this, ms. */
const LONGEST = 1_000;

/** Collects changed files until they come no more. */
export class Changes {
  readonly #debounce: number;
  readonly #settled: (files: Map<string, number>) => void;
  /** When each was last told, `performance.now()`. */
  #files = new Map<string, number>();
  #since = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(debounce: number, settled: (files: Map<string, number>) => void) {
    this.#debounce = debounce;
    this.#settled = settled;
  }

  get pending(): boolean {
    return this.#files.size > 0;
  }

  /** `wait`: longer than others, ms. */
  add(file: string, wait = this.#debounce): void {
    const now = performance.now();
    if (this.#files.size === 0) this.#since = now;
    this.#files.set(file, now);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const files = this.#files;
      this.#files = new Map();
      this.#settled(files);
    }, Math.max(0, Math.min(wait, this.#since + LONGEST - now)));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
