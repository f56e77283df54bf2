/** Milliseconds of one turn of the event loop that what one process says may take; the rest of it waits for the next turn. */
export const SLICE = 5;
/** Milliseconds that are looked at together. */
const WINDOW = 5_000;
/** Messages of a window that nobody has asked for: twenty thousand a second, for five seconds. */
const MESSAGES = 100_000;
/** Bytes of a window. */
const BYTES = 1024 * 1024 * 1024;

/**
 * What one process says, on all its channels. Slices keep a flood from delaying others; it is called a flood when it goes on for
 * a window. A dialogue is none, however fast: as many messages go the other way.
 */
export class Intake {
  #since = performance.now();
  #heard = 0;
  #sent = 0;
  #bytes = 0;

  /** A message to that process. */
  sent(): void {
    this.#sent++;
  }

  /** After a slice. Says what is wrong with the window that has ended with it; null: nothing. */
  took(messages: number, bytes: number): string | null {
    this.#heard += messages;
    this.#bytes += bytes;
    const elapsed = performance.now() - this.#since;
    if (elapsed < WINDOW) return null;
    const [heard, asked, size] = [this.#heard, this.#sent, Math.round(this.#bytes / 2 ** 20)];
    const isFlood = (heard - asked) * WINDOW > MESSAGES * elapsed || this.#bytes * WINDOW > BYTES * elapsed;
    this.#since += elapsed;
    this.#heard = this.#sent = this.#bytes = 0;
    return isFlood ? `it floods the master: ${heard} messages, ${size} MiB in ${Math.round(elapsed)} ms` : null;
  }
}
