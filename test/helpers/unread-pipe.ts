import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Scope } from './cluster.js';
import { eventually } from './eventually.js';

/** A pipe as a shell makes one, whose reader reads when the test says so. */
export class UnreadPipe {
  /** Its end to write to, for a process to inherit: a write waits for the reader there. */
  readonly fd: number;
  /** All that was read. */
  text = '';
  readonly #both: number;
  #left = false;

  constructor(scope: Scope) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-pipe-'));
    const file = path.join(dir, 'pipe');
    execFileSync('mkfifo', [file]);
    this.#both = openSync(file, constants.O_RDWR | constants.O_NONBLOCK);
    this.fd = openSync(file, 'w');
    rmSync(dir, { recursive: true });
    scope.after(() => {
      this.leave();
      closeSync(this.fd);
    });
  }

  /** Nobody reads any more. */
  leave(): void {
    if (!this.#left) closeSync(this.#both);
    this.#left = true;
  }

  /** Fills it to the last byte. */
  fill(): void {
    for (const size of [1_000, 1]) {
      try {
        for (;;) writeSync(this.#both, 'x'.repeat(size));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      }
    }
  }

  /** What there is now, without what `fill` has put there. */
  read(most = Infinity): string {
    const buffer = Buffer.alloc(16_384);
    let text = '';
    try {
      while (text.length < most) text += buffer.toString('utf8', 0, readSync(this.#both, buffer));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
    this.text += text.replace(/x{100,}/g, '');
    return this.text;
  }

  /** Reads until it matches. */
  async seen(what: RegExp, deadline = 10_000): Promise<void> {
    await eventually(() => what.test(this.read()), deadline);
  }
}
