import type { ExitInfo } from '../../api/child.js';
import type { Hooks } from '../../api/hooks.js';
import type { Faults } from '../../kit/faults.js';
import type { Logger } from '../../kit/logger.js';
import type { Life } from '../life.js';
import type { Release, Releases } from '../releases.js';
import type { Child } from './child.js';
import { slotName } from './exit-report.js';
import { nextStreak, reforkDelay, type Deaths, type SlotPolicy } from './policies.js';

/** What it works with; the same objects as in the core. */
export interface ReforkNeeds {
  readonly hooks: Hooks;
  readonly logger: Logger;
  readonly life: Life;
  readonly deaths: Deaths;
  readonly faults: Faults;
  readonly releases: Pick<Releases, 'current' | 'after'>;
}

/** Starts a process for the slot; rejects when that cannot be done. `wanted`: whether the slot still waits for it. */
type ForkAgain = (release: Release, wanted: () => boolean) => Promise<void>;

/**
 * What becomes of a slot whose process has ended by itself: another one, at once or after a growing delay. The slot is never
 * lost, unless a tap of beforeRefork says to leave it empty.
 */
export class Refork {
  /** A tap said to leave the slot empty. */
  left = false;
  /** Milliseconds of the wait that is on; null: none. */
  delay: number | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** When the wait ends, as `performance.now()` tells it. */
  #due = 0;
  /** Ends in a row, none of them after a long life (policies). */
  #streak = 0;
  /** Forks in a row that have failed. */
  #failed = 0;
  /** Of the process that has ended. */
  #generation = 0;
  /** How often somebody else took care of the slot, or a wait began: a fork from before is not wanted any more. */
  #turn = 0;
  readonly #needs: ReforkNeeds;
  readonly #policy: SlotPolicy;
  readonly #slot: number;
  readonly #fork: ForkAgain;

  constructor(needs: ReforkNeeds, policy: SlotPolicy, slot: number, fork: ForkAgain) {
    this.#needs = needs;
    this.#policy = policy;
    this.#slot = slot;
    this.#fork = fork;
  }

  /** Milliseconds that are left of the wait; null: none is on. */
  get forkIn(): number | null {
    return this.delay === null ? null : Math.max(0, Math.round(this.#due - performance.now()));
  }

  /** Ends, or forks that failed, without a long life in between. */
  get inRow(): number {
    return this.#failed || this.#streak;
  }

  /** The process in charge is gone, and nobody has planned that. */
  gone(child: Child, exit: ExitInfo): void {
    if (child.pid < 0) this.failed(child.generation);
    else if (exit.cause === 'requested') this.ended(child);
    else this.died(child, exit);
  }

  /**
   * An end that somebody asked for, but for no replacement: no death that counts. A worker that does so again and again must
   * not go round and round; the agent's shortest wait sees to that.
   */
  ended(child: Child): void {
    const options = this.#options();
    this.#generation = child.generation;
    this.#failed = 0;
    this.#streak = this.#policy.counted ? nextStreak(this.#streak, Date.now() - child.startedAt, options) : 0;
    this.after(reforkDelay(this.#streak, options));
  }

  /** An unexpected death: the count, the taps, the delay. */
  died(child: Child, exit: ExitInfo): void {
    const { hooks, logger, deaths, life } = this.#needs;
    const options = this.#options();
    this.#generation = child.generation;
    this.#failed = 0;
    this.#streak = nextStreak(this.#streak, exit.uptime, options);
    let delay = reforkDelay(this.#streak, options);
    if (!this.#policy.counted) return this.after(delay);

    const limit = deaths.add(Date.now(), options);
    if (limit !== 'below') {
      delay = Math.max(delay, options.maxDelay);
      const decision = hooks.reachReforkLimit.call(this.#slot, deaths.times) ?? options.onLimit;
      if (limit === 'reached') {
        logger.error(`refork limit reached: ${deaths.times.length} deaths within ${options.duration}ms (onLimit: ${decision})`);
      }
      if (decision === 'exit') return life.giveUp('refork limit reached');
    }
    const decision = hooks.beforeRefork.call(child, exit);
    if (decision !== 'leave') return this.after(decision && isDelay(decision.delay) ? decision.delay : delay);
    this.left = true;
    logger.warn(`${slotName(this.#policy.role, this.#slot)} is left empty, as a beforeRefork tap says`);
  }

  /** No process came to be: no death either. Tried again and again, whatever the cause, as the next moment may have what it needs. */
  failed(generation: number): void {
    this.#generation = generation;
    this.after(reforkDelay(++this.#failed, this.#options()));
  }

  /**
   * Forks again in `wanted` ms, and again if that cannot be done. Never within the exit event itself: the channel's own end is
   * still to be handled.
   */
  after(wanted: number): void {
    const { logger } = this.#needs;
    const { role, floor } = this.#policy;
    this.cancel();
    if (this.#needs.life.closing) return;
    this.delay = Math.max(floor, wanted);
    this.#due = performance.now() + this.delay;
    if (this.delay > floor) {
      logger.warn(`${slotName(role, this.#slot)} is forked again in ${this.delay}ms (${this.#why()})`);
      this.#needs.hooks.reforkDelayed.call(this.#slot, this.delay, this.inRow);
    }
    this.#timer = setTimeout(this.#needs.faults.guard(slotName(role, this.#slot), () => this.#again()), this.delay);
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.delay = null;
    this.#turn++;
  }

  async #again(): Promise<void> {
    const { logger, life, releases } = this.#needs;
    this.cancel();
    this.left = false;
    const turn = this.#turn;
    const wanted = () => turn === this.#turn;
    try {
      await this.#fork(releases.after(this.#generation), wanted);
    } catch (error) {
      if (life.closing || !wanted()) return;
      logger.error(`${slotName(this.#policy.role, this.#slot)} could not be filled again`, { error });
      this.failed(this.#generation);
    }
  }

  #why(): string {
    return this.#failed > 0 ? `${this.#failed} failed forks in a row` : `${this.#streak} ends in a row`;
  }

  #options() {
    return this.#needs.releases.current.loaded.config.refork;
  }
}

/** A timer makes 1 ms of what is no time, or too long a one. */
const isDelay = (delay: unknown): delay is number => typeof delay === 'number' && delay >= 0 && delay < 2 ** 31;
