import { closeSync, constants, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';

/** Absolute paths of the files that a daemon's lines go to: the normal ones, and warnings and errors; both may be one. */
export interface LogPaths {
  out: string;
  err: string;
}

/** A pipe by that name without a reader is an error (ENXIO): opened as usual it would block until somebody reads. */
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NONBLOCK ?? 0);

/**
 * Opens a log file to append, its directory made where it is missing. One level, as a longer way is rather a mistake; and
 * `recursive` never returns for a path in /proc. Throws the file system's error.
 */
export function openLog(file: string): number {
  let noDirectory: unknown;
  try {
    mkdirSync(path.dirname(file));
  } catch (error) {
    // One that is there will do.
    noDirectory = error;
  }
  try {
    return openSync(file, APPEND, 0o666);
  } catch (error) {
    const isMissing = codeOf(error) === 'ENOENT' && noDirectory !== undefined && codeOf(noDirectory) !== 'EEXIST';
    throw isMissing ? noDirectory : error;
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/**
 * Where lines go: the master's own streams, or a daemon's files. Children get the descriptors themselves, so nothing of
 * theirs passes through the master and nothing is lost with it.
 */
export class LogFiles {
  readonly output: { out: number; err: number } = { out: 1, err: 2 };
  readonly #paths: LogPaths | undefined;
  /** Why the last opening came to nothing; null where it did not. */
  failure: string | null = null;

  constructor(paths?: LogPaths) {
    this.#paths = paths;
  }

  /** Whether lines go to files that can be opened anew. */
  get any(): boolean {
    return this.#paths !== undefined;
  }

  stdio(): { out: number; err: number } {
    return { ...this.output };
  }

  /**
   * After a rotation: new lines, and new children's, go to new files of the same names; both of them, or none. Where that
   * cannot be, all goes on to the files that are open: the directory may be gone, or another's. Never throws, `failure` tells.
   */
  reopen(): void {
    if (!this.#paths) return;
    const { out, err } = this.#paths;
    const opened: number[] = [];
    try {
      opened.push(openLog(out));
      if (err !== out) opened.push(openLog(err));
    } catch (error) {
      opened.forEach(close);
      this.failure = (error as Error).message;
      return;
    }
    this.failure = null;
    const before = new Set([this.output.out, this.output.err]);
    [this.output.out, this.output.err] = [opened[0] as number, opened.at(-1) as number];
    for (const fd of before) if (fd > 2) close(fd);
  }
}

function close(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // What a full disk says of lines before comes at the close.
  }
}
