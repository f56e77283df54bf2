import type { Socket } from 'node:net';
import { transferred } from '../../lib/runtime.js';

/** What a connection does while no answer is due on it; each begins a time of its own. */
export type Stage = 'idle' | 'asking' | 'shaking hands' | 'open';

interface Seen {
  stage: Stage;
  bytes: number;
  /** performance.now() of the last byte, either way, as far as a look can tell. */
  movedAt: number;
  since: number;
}

/** How long connections have been still, from look to look: nothing is counted while they live. */
export class Stillness {
  readonly #seen = new WeakMap<Socket, Seen>();

  /** Milliseconds without a byte, and altogether, in this stage; both 0 at the first look. */
  of(socket: Socket, stage: Stage, now: number): { still: number; lasts: number } {
    const bytes = transferred(socket);
    const before = this.#seen.get(socket);
    const seen = before?.stage === stage ? before : { stage, bytes, movedAt: now, since: now };
    if (seen !== before) this.#seen.set(socket, seen);
    if (seen.bytes !== bytes) Object.assign(seen, { bytes, movedAt: now });
    return { still: now - seen.movedAt, lasts: now - seen.since };
  }

  /** An answer is due: what comes then begins anew. */
  forget(socket: Socket): void {
    this.#seen.delete(socket);
  }
}
