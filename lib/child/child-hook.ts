import type { ChildHook } from '../api/runtime.js';

interface Tap<Args extends unknown[]> {
  name: string;
  fn: (...args: Args) => unknown;
}

/** tapable's `tap` and `tapPromise` without tapable, which would cost every worker's start 5 ms. Taps run in order. */
class Taps<Args extends unknown[]> {
  protected readonly taps: Tap<Args>[] = [];

  tap(name: string, fn: (...args: Args) => unknown): void {
    this.taps.push({ name, fn });
  }

  tapPromise(name: string, fn: (...args: Args) => Promise<unknown>): void {
    this.taps.push({ name, fn });
  }
}

export class SyncChildHook<Args extends unknown[]> extends Taps<Args> implements ChildHook<Args, void> {
  call(...args: Args): void {
    for (const { fn } of this.taps) fn(...args);
  }
}

/** Awaits each tap. `around` sees the name of a tap while it runs; an error ends the series unless `onError` takes it. */
export class SeriesChildHook<Args extends unknown[]> extends Taps<Args> implements ChildHook<Args, Promise<void>> {
  readonly #running: Set<string> | undefined;
  readonly #onError: ((error: unknown, name: string) => void) | undefined;

  constructor(running?: Set<string>, onError?: (error: unknown, name: string) => void) {
    super();
    this.#running = running;
    this.#onError = onError;
  }

  async call(...args: Args): Promise<void> {
    for (const { name, fn } of this.taps) {
      this.#running?.add(name);
      try {
        await fn(...args);
      } catch (error) {
        if (!this.#onError) throw error;
        this.#onError(error, name);
      } finally {
        this.#running?.delete(name);
      }
    }
  }
}
