import type { Bootstrap } from '../../lib/index.js';
import { starved } from './process-facts.js';
import type { Pulse } from './pulse.js';
import type { Pulses } from './pulses.js';

/** A machine that is too busy may delay the verdict up to this many times `hangTimeout`. */
const BENEFIT_OF_DOUBT = 2;
/** A child that writes a heap snapshot does nothing else for a while: bytes a millisecond that it writes at the least. */
const SNAPSHOT_SPEED = 5_000;

export interface WatchdogOptions {
  /** Milliseconds. */
  hangTimeout: number;
  /** Children may be writing heap snapshots. */
  snapshots: boolean;
}

/**
 * Finds children whose event loop does not answer. All times are the master's monotonic clock; when the master itself was
 * away (SIGSTOP, a suspended machine, a loop of its own), everybody gets a fresh period, as nobody could be heard.
 */
export class Watchdog {
  readonly #bootstrap: Bootstrap;
  readonly #pulses: Pulses;
  readonly #options: WatchdogOptions;
  readonly #period: number;
  /** Processor time each suspect has been waiting for, when it became one. */
  readonly #suspects = new WeakMap<Pulse, { heardAt: number; starved: number }>();
  #timer: NodeJS.Timeout | undefined;
  #checkedAt = 0;

  constructor(bootstrap: Bootstrap, pulses: Pulses, options: WatchdogOptions) {
    this.#bootstrap = bootstrap;
    this.#pulses = pulses;
    this.#options = options;
    this.#period = Math.min(1_000, options.hangTimeout / 8);
  }

  start(): void {
    this.#checkedAt = performance.now();
    this.#timer = setInterval(() => this.#check(performance.now()), this.#period).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(now: number): void {
    const away = now - this.#checkedAt - this.#period;
    this.#checkedAt = now;
    const pulses = this.#pulses.ready();
    if (away > this.#period) {
      for (const pulse of pulses) pulse.heardAt = now;
      return;
    }
    for (const pulse of pulses) {
      const silence = pulse.silence(now);
      if (silence > this.#options.hangTimeout / 2 && !pulse.treated) void this.#suspect(pulse, silence);
    }
  }

  async #suspect(pulse: Pulse, silence: number): Promise<void> {
    const { hangTimeout } = this.#options;
    const waited = await starved(pulse.child.pid);
    const suspect = this.#suspects.get(pulse);
    if (suspect?.heardAt !== pulse.heardAt) {
      this.#suspects.set(pulse, { heardAt: pulse.heardAt, starved: waited });
      return;
    }
    const fault = Math.max(silence - (waited - suspect.starved), silence / BENEFIT_OF_DOUBT);
    if (fault < hangTimeout + this.#snapshotTime(pulse) || pulse.treated) return;
    pulse.treated = true;
    try {
      await this.#treat(pulse);
    } catch (error) {
      this.#bootstrap.logger.error(error as Error);
    } finally {
      // Another period for one that was left alone.
      pulse.heardAt = performance.now();
      pulse.treated = false;
    }
  }

  async #treat(pulse: Pulse): Promise<void> {
    const { hooks, logger, config } = this.#bootstrap;
    const { child } = pulse;
    const { findInspector } = await import('./inspector.js');
    if (await findInspector(child.pid)) {
      logger.debug(`${pulse.name} does not answer, but its inspector is open: left alone`);
      return;
    }
    if (!this.#stillHangs(pulse)) return;
    const sample = { ...pulse.last, silence: Math.round(pulse.silence()) };
    if (hooks.workerUnresponsive.call(child, sample) === 'ignore') {
      logger.warn(`${pulse.name} has not answered for ${sample.silence}ms; left alone, as a workerUnresponsive tap says`);
      return;
    }
    const { collectEvidence, describeEvidence } = await import('./evidence.js');
    const { text, fields } = describeEvidence(await collectEvidence(pulse), config.log.format);
    // Whatever it has done meanwhile: looking into it may have ended what it waited for.
    logger.error(`${pulse.name} is unresponsive and is replaced: its event loop ${text}`, fields);
    await this.#bootstrap.kill(child, 'unresponsive');
  }

  /** It may have answered, or begun to close, while its ports were looked at. */
  #stillHangs({ child, heardAt }: Pulse): boolean {
    return child.state === 'ready' && performance.now() - heardAt >= this.#options.hangTimeout / BENEFIT_OF_DOUBT;
  }

  #snapshotTime({ last }: Pulse): number {
    if (!this.#options.snapshots || !last || last.heapUsed < last.heapLimit / 2) return 0;
    return last.heapLimit / SNAPSHOT_SPEED;
  }
}
