import { createHash } from 'node:crypto';
import { readFileSync, statSync, type Stats } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';

/** Files that are read in one turn of the event loop. */
const AT_ONCE = 25;
/** What is longer is known by its date and size, bytes. */
const LONGEST = 4 * 1024 * 1024;

const lookOf = ({ mtimeMs, size, ino }: Stats): string => `${mtimeMs}:${size}:${ino}`;

/** What each file was when the code that runs was started: a date that is new is no change. */
export class Contents {
  /** What it looked like when it was last seen. */
  readonly #looks = new Map<string, string>();
  /** A digest of what is in it. */
  readonly #digests = new Map<string, string>();
  /** Changed before its content was known. */
  readonly #unsure = new Set<string>();
  /** Those that were there at the last look; what comes and goes between two looks is nobody's business. */
  readonly #known = new Set<string>();

  get size(): number {
    return this.#looks.size;
  }

  has(file: string): boolean {
    return this.#looks.has(file);
  }

  /** It was there at the last look. */
  isKnown(file: string): boolean {
    return this.#known.has(file);
  }

  /** Whether it looks other than when it was last seen. */
  see(file: string, stats: Stats): boolean {
    const look = lookOf(stats);
    if (this.#looks.get(file) === look) return false;
    this.#looks.set(file, look);
    return true;
  }

  /** It was there before anything could have changed. */
  know(file: string): void {
    this.#known.add(file);
  }

  /** A change was told, and what was in it before may not be known. */
  changed(file: string): void {
    if (!this.#digests.has(file)) this.#unsure.add(file);
  }

  gone(file: string): void {
    this.#looks.delete(file);
  }

  /** Whether its content is another one than at the last look, which is now. */
  hasChanged(file: string): boolean {
    const unsure = this.#unsure.delete(file);
    const digest = digestOf(file);
    if (digest === null) {
      this.#looks.delete(file);
      this.#digests.delete(file);
      return this.#known.delete(file);
    }
    const before = this.#known.has(file) ? this.#digests.get(file) : undefined;
    this.#known.add(file);
    this.#digests.set(file, digest);
    return unsure || before !== digest;
  }

  /** Reads what has not been read. `moved` hears of what was written since it was first seen: no event tells of that. */
  async read(moved: (file: string) => void, goOn: () => boolean): Promise<void> {
    let read = 0;
    for (const [file, look] of [...this.#looks]) {
      if (!goOn()) return;
      if (this.#digests.has(file) || this.#unsure.has(file)) continue;
      const stats = statSync(file, { throwIfNoEntry: false });
      if (stats && lookOf(stats) !== look) moved(file);
      else this.#digest(file);
      if (++read % AT_ONCE === 0) await turn();
    }
  }

  #digest(file: string): void {
    const digest = digestOf(file);
    if (digest !== null) this.#digests.set(file, digest);
  }
}

function digestOf(file: string): string | null {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (!stats?.isFile()) return null;
  if (stats.size > LONGEST) return lookOf(stats);
  try {
    return createHash('sha1').update(readFileSync(file)).digest('base64');
  } catch {
    // Gone meanwhile, or not ours to read.
    return lookOf(stats);
  }
}
