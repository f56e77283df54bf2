import { closeSync, openSync } from 'node:fs';

export interface LogPaths {
  out: string;
  err: string;
}

/**
 * Where lines go: the master's own streams, or a daemon's files. Children get the descriptors themselves, so nothing of
 * theirs passes through the master and nothing is lost with it.
 */
export class LogFiles {
  readonly output: { out: number; err: number } = { out: 1, err: 2 };
  readonly #paths: LogPaths | undefined;

  constructor(paths?: LogPaths) {
    this.#paths = paths;
    if (paths) this.reopen();
  }

  stdio(): { out: number; err: number } {
    return { ...this.output };
  }

  /** After a rotation: new lines, and new children's, go to new files of the same names. */
  reopen(): void {
    if (!this.#paths) return;
    const { out, err } = this.#paths;
    const before = [this.output.out, this.output.err];
    this.output.out = openSync(out, 'a');
    this.output.err = err === out ? this.output.out : openSync(err, 'a');
    for (const fd of new Set(before)) if (fd > 2) closeSync(fd);
  }
}
