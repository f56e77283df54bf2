/** Milliseconds of one turn of the event loop that what one process says may take; the rest of it waits for the next turn. */
export const SLICE = 5;
/** Milliseconds that a process is looked at together. */
const WINDOW = 5_000;
/** What it may take of them when it sends more than anybody has a use for, 0..1. */
const SHARE = 0.6;
/** Messages, and bytes, of a window that nobody has a use for. */
const MESSAGES = 100_000;
const BYTES = 512 * 1024 * 1024;

/**
 * What one process costs this one by talking, on all its channels. Slices keep a flood from delaying others; it is called a
 * flood when it goes on for a window: by far more than can be passed on, and most of this process's time.
 */
export class Intake {
  #since = performance.now();
  #busy = 0;
  #messages = 0;
  #bytes = 0;

  /** After a slice: milliseconds, messages and bytes. Says what is wrong with the last window; null: nothing. */
  took(ms: number, messages: number, bytes: number): string | null {
    this.#busy += ms;
    this.#messages += messages;
    this.#bytes += bytes;
    const elapsed = performance.now() - this.#since;
    if (elapsed < WINDOW) return null;
    const flooded = this.#busy > SHARE * elapsed && (this.#messages > MESSAGES || this.#bytes > BYTES);
    const text = `it floods the master: ${this.#messages} messages, ${Math.round(this.#bytes / 2 ** 20)} MB in ${Math.round(elapsed)} ms`;
    this.#since += elapsed;
    this.#busy = this.#messages = this.#bytes = 0;
    return flooded ? text : null;
  }
}
