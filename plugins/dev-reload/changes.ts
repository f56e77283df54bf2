/** A flood of changes (a checkout, a build) is waited for, but not longer than this, ms. */
const LONGEST = 1_000;
/** One file, whole and alone, is waited for this part of the time. */
const ALONE = 1 / 3;

/** Collects changed files until they come no more. */
export class Changes {
  readonly #debounce: number;
  readonly #settled: (files: Map<string, number>) => void;
  readonly #isWhole: (file: string) => boolean;
  /** When each was last told, `performance.now()`. */
  #files = new Map<string, number>();
  #since = 0;
  #timer: NodeJS.Timeout | undefined;
  #still: (() => void)[] = [];

  /** `isWhole`: a file is there, and not just about to be written. */
  constructor(debounce: number, settled: (files: Map<string, number>) => void, isWhole: (file: string) => boolean = () => false) {
    this.#debounce = debounce;
    this.#settled = settled;
    this.#isWhole = isWhole;
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
    const rest = Math.max(0, Math.min(wait, this.#since + LONGEST - now));
    const settle = () => this.#settle();
    if (this.#files.size > 1 || wait !== this.#debounce) {
      this.#timer = setTimeout(settle, rest);
      return;
    }
    this.#timer = setTimeout(() => {
      if (this.#isWhole(file)) settle();
      else this.#timer = setTimeout(settle, rest - rest * ALONE);
    }, rest * ALONE);
  }

  /** Resolves when what has come until now is told; undefined: nothing has. */
  still(): Promise<void> | undefined {
    return this.pending ? new Promise((resolve) => { this.#still.push(resolve); }) : undefined;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#tell();
  }

  #settle(): void {
    const files = this.#files;
    this.#files = new Map();
    this.#settled(files);
    this.#tell();
  }

  #tell(): void {
    for (const resolve of this.#still.splice(0)) resolve();
  }
}
