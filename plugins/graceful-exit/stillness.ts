/** What a connection, or a request on it, does; each begins a time of its own. */
export type Stage = 'idle' | 'asking' | 'shaking hands' | 'open' | 'answering';

interface Seen {
  stage: Stage;
  bytes: number;
  /** performance.now() of the last byte, either way, as far as a look can tell. */
  movedAt: number;
  since: number;
}

/** How long connections have been still, from look to look: nothing is counted while they live. */
export class Stillness {
  readonly #seen = new WeakMap<object, Seen>();

  /** Milliseconds without a byte, and altogether, in this stage; both 0 at the first look. `bytes`: all that have passed by now. */
  of(connection: object, bytes: number, stage: Stage, now: number): { still: number; lasts: number } {
    const before = this.#seen.get(connection);
    const seen = before?.stage === stage ? before : { stage, bytes, movedAt: now, since: now };
    if (seen !== before) this.#seen.set(connection, seen);
    if (seen.bytes !== bytes) Object.assign(seen, { bytes, movedAt: now });
    return { still: now - seen.movedAt, lasts: now - seen.since };
  }
}
