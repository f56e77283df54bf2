import type { ExitInfo } from '../../api/child.js';
import type { DuckStatus } from '../../api/control.js';
import type { Hooks } from '../../api/hooks.js';
import type { Deadlines } from '../../api/plugin.js';
import type { CloseReason } from '../../ipc/messages.js';
import type { Logger } from '../../kit/logger.js';
import { atMost } from '../../kit/time.js';
import type { Child } from './child.js';
import { processName } from './exit-report.js';
import type { SlotPolicy } from './policies.js';

/** Another worker takes the place, and nothing is wrong with this one. */
const REPLACED: ReadonlySet<CloseReason> = new Set(['reload', 'scale', 'recycle', 'signal']);
/** Of one slot: who is recycled, or gets signals, again and again leaves not more of them behind. */
const MOST = 4;

/** How long (ms) the streams of a worker that closes for this reason may take. */
const streamTimeout = (reason: CloseReason, timeout: number, deadlines: Deadlines): number =>
  REPLACED.has(reason) ? deadlines.streams : timeout;

/** How long a worker that listens may take to be ready, when it is dismissed in between; ms. */
const ALMOST_READY = 1_000;

export interface DeparturesNeeds {
  readonly hooks: Hooks;
  readonly deadlines: Deadlines;
  readonly ducks: Ducks;
  readonly listeners: { leave(child: Child): boolean };
}

/** The processes of one slot that are on their way out of it. */
export class Departures {
  readonly #all = new Set<Child>();
  readonly #dismissed = new WeakSet<Child>();
  readonly #needs: DeparturesNeeds;
  readonly #policy: SlotPolicy;

  constructor(needs: DeparturesNeeds, policy: SlotPolicy) {
    this.#needs = needs;
    this.#policy = policy;
  }

  children(): Child[] {
    return [...this.#all];
  }

  add(child: Child): void {
    this.#all.add(child);
  }

  isDismissed(child: Child): boolean {
    return this.#dismissed.has(child);
  }

  /** Has ended; false where it was out of the slot before, as a duck. */
  gone(child: Child, exit: ExitInfo): boolean {
    this.#all.delete(child);
    return !this.#needs.ducks.gone(child, exit);
  }

  /** Nothing but streams is left of it: the slot does not wait for them. */
  release(child: Child): void {
    this.#all.delete(child);
    this.#needs.ducks.add(child);
  }

  /** Ends a process that is not wanted any more: at once while nobody has reached it yet, else when it has answered. */
  async dismiss(child: Child, reason: CloseReason): Promise<void> {
    if (child.state === 'draining' || this.#dismissed.has(child)) {
      await child.replaced;
      return;
    }
    this.#dismissed.add(child);
    const reached = this.#needs.listeners.leave(child);
    // It listens, and may have accepted already: what it has accepted would be lost.
    if (reached && child.state !== 'ready') await atMost(ALMOST_READY, child.settled());
    await (child.state === 'ready' ? this.drain(child, reason) : child.kill('abort'));
  }

  /**
   * Routes nothing more to it, tells it to close, and kills it at the deadline. Resolves when it is gone, or has nothing but
   * streams left and is out of the slot.
   */
  async drain(child: Child, reason: CloseReason): Promise<void> {
    const { hooks, listeners, deadlines } = this.#needs;
    if (this.#policy.overlaps) await hooks.beforeDrain.promise(child, reason);
    listeners.leave(child);
    const timeout = deadlines[this.#policy.deadline];
    void child.close(reason, timeout, streamTimeout(reason, timeout, deadlines));
    await child.replaced;
  }

  /** It has told that it closes by its own decision. */
  leaves(child: Child, reason: CloseReason): void {
    const { listeners, deadlines } = this.#needs;
    listeners.leave(child);
    const timeout = deadlines[this.#policy.overlaps && reason === 'uncaught' ? 'uncaught' : this.#policy.deadline];
    child.limit(timeout, streamTimeout(reason, timeout, deadlines));
  }

  /** Kills one that has never been in charge; it is among the slot's processes until it is gone. */
  async end(child: Child, reason: CloseReason): Promise<void> {
    if (child.state === 'exited') return;
    this.#all.add(child);
    await child.kill(reason);
  }
}

interface DucksNeeds {
  readonly logger: Logger;
  readonly hooks: Hooks;
  readonly deadlines: Deadlines;
}

/**
 * Lame ducks: workers that were replaced and have nothing but streams left. They are out of their slots, so nobody waits for
 * them; each has a deadline, and no more than one old generation of them lives.
 */
export class Ducks {
  /** In the order in which they came. */
  readonly #all = new Set<Child>();
  readonly #needs: DucksNeeds;

  constructor(needs: DucksNeeds) {
    this.#needs = needs;
  }

  children(): Child[] {
    return [...this.#all];
  }

  has(child: unknown): boolean {
    return this.#all.has(child as Child);
  }

  add(child: Child): void {
    const { logger, hooks } = this.#needs;
    this.#all.add(child);
    const { streams } = statusOf(child);
    const sockets = child.waiting?.sockets ?? 0;
    const what = streams > 0 ? `it finishes ${streams} stream${streams === 1 ? '' : 's'}`
      : `it takes its leave of ${sockets} client${sockets === 1 ? '' : 's'}`;
    const until = Math.round(((child.killAt ?? 0) - performance.now()) / 1_000);
    logger.info(`${processName(child)} is out of its slot: ${what}, within ${until} s`);
    hooks.duckBorn.call(child, child.operation);
    const same = this.children().filter(({ slot }) => slot === child.slot);
    if (same.length > MOST) this.move(same[0]!);
  }

  /** It has ended; false where it was none. */
  gone(child: Child, exit: ExitInfo): boolean {
    const was = this.#all.delete(child);
    if (was) this.#needs.hooks.duckGone.call(child, exit, child.operation);
    return was;
  }

  /** What streams it has are cut, a few at a time. */
  move(child: Child): void {
    this.#needs.logger.info(`${processName(child)} has had its time: its streams are cut`);
    child.move(this.#needs.deadlines.drain);
  }

  /** Another generation is about to leave streams behind: what those before it have left goes. */
  moveBefore(generation: number): void {
    for (const child of this.#all) if (child.generation < generation) this.move(child);
  }

  /** Ends them with the rest: their streams have as long as every request. Resolves when they are gone. */
  async end(): Promise<void> {
    await Promise.all(this.children().map((child) => child.close('stop', this.#needs.deadlines.drain)));
  }

  status(): DuckStatus[] {
    return this.children().map(statusOf);
  }
}

function statusOf({ pid, slot, generation, waiting, killAt }: Child): DuckStatus {
  return {
    pid,
    slot,
    generation,
    streams: waiting?.streams ?? 0,
    oldest: Math.max(0, ...waiting?.inFlight?.map(({ age }) => age) ?? []),
    until: new Date(Date.now() + (killAt ?? performance.now()) - performance.now()).toISOString(),
  };
}
