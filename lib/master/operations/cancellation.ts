/**
 * Ends waits. Not a promise to race with: each race leaves its result behind on a promise that never settles, and a master
 * that reloads for months would keep every configuration that it ever had.
 */
export class Cancellation {
  readonly #waits = new Set<(error: Error) => void>();
  #error: Error | null = null;

  cancel(error: Error): void {
    this.#error = error;
    for (const reject of this.#waits) reject(error);
    this.#waits.clear();
  }

  /** As `promise`, or rejects when it is cancelled first. */
  orCancelled<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#error) reject(this.#error);
      this.#waits.add(reject);
      promise.then(resolve, reject).finally(() => this.#waits.delete(reject));
    });
  }
}
