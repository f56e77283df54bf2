import type { Master } from '../../lib/index.js';
import { DrainWitness } from './drain-witness.js';
import type { Sample } from './messages.js';
import type { Pulse } from './pulse.js';
import type { Pulses } from './pulses.js';

const LOOKING = 'looking for children that hang';
/** A machine that is too busy may delay the verdict up to this many times `hangTimeout`. */
const BENEFIT_OF_DOUBT = 2;
/** A child that writes a heap snapshot does nothing else for a while: bytes a millisecond that it writes at the least. */
const SNAPSHOT_SPEED = 5_000;
/** Share of the heap limit above which it may be doing so. */
const SNAPSHOT_FROM = 0.6;

export interface WatchdogOptions {
  /** Milliseconds. */
  hangTimeout: number;
  /** Children may be writing heap snapshots. */
  snapshots: boolean;
}

/**
 * Finds children whose event loop does not answer. All times are the master's monotonic clock; what the master itself was
 * away (SIGSTOP, a suspended machine, a machine too busy for it) counts for nobody, as nobody could be heard.
 */
export class Watchdog {
  readonly #master: Master;
  readonly #pulses: Pulses;
  readonly #options: WatchdogOptions;
  readonly #period: number;
  /** Since which sample each is suspected, and how long it had been waiting for a processor then. */
  readonly #suspects = new WeakMap<Pulse, { sample: Sample | null; starved: number }>();
  readonly #witness: DrainWitness;
  #timer: NodeJS.Timeout | undefined;
  #checkedAt = 0;

  constructor(master: Master, pulses: Pulses, options: WatchdogOptions) {
    this.#master = master;
    this.#pulses = pulses;
    this.#options = options;
    this.#period = Math.min(1_000, options.hangTimeout / 8);
    this.#witness = new DrainWitness(master, pulses);
  }

  start(): void {
    this.#checkedAt = performance.now();
    this.#timer = setInterval(this.#master.guard(LOOKING, () => this.#check(performance.now())), this.#period).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(now: number): void {
    const away = now - this.#checkedAt - this.#period;
    this.#checkedAt = now;
    if (away > this.#period) {
      for (const pulse of [...this.#pulses.ready(), ...this.#pulses.draining()]) pulse.heardAt = Math.min(now, pulse.heardAt + away);
    }
    // Timers come before reading: what the children have sent meanwhile is read first.
    setImmediate(this.#master.guard(LOOKING, () => this.#look()));
  }

  #look(): void {
    this.#witness.look();
    const suspect = this.#master.guard(LOOKING, (pulse: Pulse, silence: number) => this.#suspect(pulse, silence));
    for (const pulse of [...this.#pulses.ready(), ...this.#pulses.ducks()]) {
      const silence = pulse.silence();
      if (silence > this.#options.hangTimeout / 2 && !pulse.treated) void suspect(pulse, silence);
    }
  }

  async #suspect(pulse: Pulse, silence: number): Promise<void> {
    const { hangTimeout } = this.#options;
    const { processFacts, starved } = await import('./process-facts.js');
    const waited = await starved(pulse.child.pid);
    const suspect = this.#suspects.get(pulse);
    if (!suspect || suspect.sample !== pulse.last) {
      this.#suspects.set(pulse, { sample: pulse.last, starved: waited });
      return;
    }
    const fault = Math.max(silence - (waited - suspect.starved), silence / BENEFIT_OF_DOUBT);
    if (fault < hangTimeout) return;
    const patience = this.#options.snapshots ? snapshotTime(pulse, (await processFacts(pulse.child.pid)).rss ?? 0) : 0;
    if (fault < hangTimeout + patience || pulse.treated) return;
    pulse.treated = true;
    try {
      await this.#treat(pulse);
    } catch (error) {
      this.#master.logger.error(error as Error);
    } finally {
      // Another period for one that was left alone.
      pulse.heardAt = performance.now();
      pulse.treated = false;
      this.#suspects.delete(pulse);
    }
  }

  async #treat(pulse: Pulse): Promise<void> {
    const { hooks, logger, config } = this.#master;
    const { child } = pulse;
    const { findInspector } = await import('./inspector.js');
    if (pulse.last?.inspected || await findInspector(child.pid)) {
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
    logger.error(`${pulse.name} is unresponsive and is ${child.onlyStreams ? 'ended' : 'replaced'}: its event loop ${text}`, fields);
    await this.#master.kill(child, 'unresponsive');
  }

  /** It may have answered, or begun to close, while its ports were looked at. */
  #stillHangs({ child, heardAt }: Pulse): boolean {
    const isWatched = child.state === 'ready' || (child.onlyStreams && child.state === 'draining');
    return isWatched && performance.now() - heardAt >= this.#options.hangTimeout / BENEFIT_OF_DOUBT;
  }
}

/** How long (ms) a heap snapshot may take, for a child whose heap may have reached its limit meanwhile. */
function snapshotTime({ last }: Pulse, rss: number): number {
  if (!last) return 0;
  const heap = last.heapUsed + rss - (last.rss ?? rss);
  return heap < last.heapLimit * SNAPSHOT_FROM ? 0 : heap / SNAPSHOT_SPEED;
}
