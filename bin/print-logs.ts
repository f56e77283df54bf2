import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { printError, write } from './output.js';

/** How often a followed file is looked at, ms. Watching would miss a file that is moved away and made anew. */
const LOOK = 200;
const CHUNK = 64 * 1024;

/**
 * Prints the last `lines` of each file, or all; with `follow` what comes after, until Ctrl-C or nobody reads any more. False:
 * one of them cannot be read, which is said; with `follow` it may come.
 */
export async function printLogs(files: readonly string[], { lines, follow }: { lines?: number; follow: boolean }): Promise<boolean> {
  const tails = files.map((file) => new LogTail(file, lines));
  for (const [at, { failure }] of tails.entries()) if (failure !== null) printError(unreadable(files[at] as string, failure));
  const drained = () => tails.every((tail) => tail.drain());
  const whole = tails.every(({ failure }) => failure === null);
  if (!drained() || !follow) return whole;
  process.once('SIGINT', () => process.exit(0)).once('SIGTERM', () => process.exit(0));
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK));
    for (const tail of tails) tail.reopen();
    if (!drained()) return whole;
  }
}

const unreadable = (file: string, { code, message }: NodeJS.ErrnoException): string => code === 'ENOENT'
  ? `there is no log file ${file}: it was removed, or moved away; \`framework reload\` and SIGHUP make it anew`
  : `the log file ${file} cannot be read: ${message}`;

/** One file, read from where one was; a file that takes its name later is gone on with from its beginning. */
class LogTail {
  readonly #file: string;
  #descriptor: number | null;
  #position = 0;
  #next: number | null = null;
  /** Why it cannot be read. */
  readonly failure: NodeJS.ErrnoException | null = null;

  constructor(file: string, lines: number | undefined) {
    this.#file = file;
    try {
      this.#descriptor = openSync(file, 'r');
    } catch (error) {
      this.#descriptor = null;
      this.failure = error as NodeJS.ErrnoException;
    }
    if (this.#descriptor !== null && lines !== undefined) this.#position = startOfLast(this.#descriptor, lines);
  }

  /** Prints what is new; false when nobody reads. */
  drain(): boolean {
    if (this.#descriptor !== null && !this.#copy(this.#descriptor)) return false;
    if (this.#next === null) return true;
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    [this.#descriptor, this.#next, this.#position] = [this.#next, null, 0];
    return this.#copy(this.#descriptor);
  }

  /** Notices that the file was rotated: another one has its name, or it became shorter. */
  reopen(): void {
    const now = statSync(this.#file, { throwIfNoEntry: false });
    if (!now) return;
    const before = this.#descriptor === null ? null : fstatSync(this.#descriptor);
    if (before && now.ino === before.ino && now.dev === before.dev) {
      if (now.size < this.#position) this.#position = 0;
    } else {
      this.#next = open(this.#file);
    }
  }

  #copy(descriptor: number): boolean {
    const buffer = Buffer.alloc(CHUNK);
    for (;;) {
      const length = readSync(descriptor, buffer, 0, CHUNK, this.#position);
      if (length === 0) return true;
      this.#position += length;
      if (!write(1, buffer.subarray(0, length))) return false;
    }
  }
}

function open(file: string): number | null {
  try {
    return openSync(file, 'r');
  } catch {
    return null;
  }
}

/** Where the last `lines` lines of a file begin: read from its end, as a log may be large. */
function startOfLast(descriptor: number, lines: number): number {
  const { size } = fstatSync(descriptor);
  if (lines === 0) return size;
  const buffer = Buffer.alloc(CHUNK);
  let found = 0;
  for (let end = size; end > 0; end -= CHUNK) {
    const start = Math.max(0, end - CHUNK);
    readSync(descriptor, buffer, 0, end - start, start);
    for (let at = end - start - 1; at >= 0; at--) {
      // The newline that ends the last line begins no other.
      if (buffer[at] === 10 && start + at !== size - 1 && ++found === lines) return start + at + 1;
    }
  }
  return 0;
}
