import type { ChildProcess } from 'node:child_process';
import { descriptorLimit, isShort } from '../../kit/processes.js';
import type { Logger } from '../../kit/logger.js';

/** What a master keeps for other things than connections: files, commands, probes; and for each slot a process that follows. */
const KEPT = 24;
const KEPT_A_SLOT = 4;
/** So few are on their way to workers at any time: they are no crowd. */
const FEW = 8;
/** What a process that is started needs in the master, and some to spare: its pipes, and what reads its files. */
const FORK = 16;
/** Connections that wait at one address where descriptors are plenty: each is some kilobytes of memory. */
const MOST_WAITING = 16_384;
/** Up to so many descriptors connections that come all at once may use them up before anything can be done. */
export const SMALL_LIMIT = 4_096;
/** Milliseconds between two log lines. */
const QUIET = 10_000;

/** `short`: the others wait in the kernel. `none`: where they cannot, they are refused. */
export type RoomLeft = 'enough' | 'short' | 'none';

/** Who lets connections wait: closes up to so many of them, and says how many. */
export interface GivesUp {
  giveUp(count: number): number;
}

/**
 * How many connections may wait in the master, so that they never take the descriptors that a fork needs, without which they
 * would wait for ever. The kernel gives the lowest free descriptor, so a connection's own tells how many are in use.
 */
export class Room {
  readonly #slots: () => number;
  readonly #logger: Pick<Logger, 'warn'>;
  readonly #waiting = new Set<GivesUp>();
  /** So many forks in a row have failed for want of descriptors. */
  #failures = 0;
  #quietUntil = -Infinity;

  /** `slots`: how many there are now. */
  constructor(slots: () => number, logger: Pick<Logger, 'warn'>) {
    this.#slots = slots;
    this.#logger = logger;
  }

  /** `fd`: of the connection that has just come; `held`: how many the address has in the master. */
  left(fd: number, held: number): RoomLeft {
    if (held <= (this.#failures > 0 ? 0 : FEW)) return 'enough';
    const limit = descriptorLimit(fd);
    const kept = Math.min(KEPT + KEPT_A_SLOT * this.#slots(), limit / 2);
    if (fd >= limit - kept / 2 || held >= 2 * MOST_WAITING) return 'none';
    return fd >= limit - kept || held >= MOST_WAITING ? 'short' : 'enough';
  }

  /** Whether a burst may use up what there is. */
  get small(): boolean {
    return descriptorLimit(0) <= SMALL_LIMIT;
  }

  /** Where connections wait. Returns what ends that. */
  enter(place: GivesUp): () => void {
    this.#waiting.add(place);
    return () => { this.#waiting.delete(place); };
  }

  /**
   * Starts a process. Where the last two could not be for want of descriptors, those who came last give theirs up first: without
   * it all would wait for ever, and a few are enough where there are hardly any (test/integration/descriptors-short.test.ts). Once
   * may be a moment's shortage, for which nobody has to pay (`npm run soak -- --only faults`).
   */
  fork<Started extends { process: ChildProcess }>(start: () => Started): Started {
    if (this.#failures > 1) this.#giveUp();
    const failed = (error: unknown) => { if (isShort(error)) this.#failures++; };
    try {
      const started = start();
      const { process } = started;
      if (process.pid === undefined) process.once('error', failed);
      else this.#failures = 0;
      return started;
    } catch (error) {
      failed(error);
      throw error;
    }
  }

  #giveUp(): void {
    let closed = 0;
    for (const place of this.#waiting) closed += place.giveUp(FORK - closed);
    if (closed > 0) this.#warn(`${closed} connections that waited are closed, the last to come first: no process can be started without `
      + 'their descriptors');
  }

  #warn(line: string): void {
    const now = performance.now();
    if (now < this.#quietUntil) return;
    this.#quietUntil = now + QUIET;
    this.#logger.warn(line);
  }

  tell(held: number, refused: boolean): void {
    const limit = descriptorLimit(held);
    this.#warn(`${held} connections wait for a worker, as many as ${limit} descriptors allow: `
      + (refused ? 'others are refused' : 'others wait until they are taken'));
  }
}
