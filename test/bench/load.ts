import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { pin } from './cores.js';
import type { LoadOrder, LoadResult } from './load-process.js';

/** The load generator's process; one for a whole benchmark, as it is warm then. */
export class LoadGenerator {
  readonly #process: ChildProcess = fork(fileURLToPath(new URL('load-process.ts', import.meta.url)));

  /** On any core, unless it is told which. */
  constructor(cores?: string) {
    if (cores !== undefined && this.#process.pid !== undefined) pin(this.#process.pid, cores);
  }

  run(order: LoadOrder): Promise<LoadResult> {
    return new Promise((resolve, reject) => {
      const failed = () => reject(new Error('the load generator ended'));
      this.#process.once('exit', failed);
      this.#process.once('message', (result: LoadResult) => {
        this.#process.off('exit', failed);
        resolve(result);
      });
      this.#process.send(order);
    });
  }

  close(): void {
    this.#process.kill();
  }
}
