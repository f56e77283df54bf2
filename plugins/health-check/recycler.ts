import type { Master, ChildView } from '../../lib/index.js';
import type { HealthCheckOptions } from './options.js';
import type { Pulse } from './pulse.js';
import type { Pulses } from './pulses.js';

/** After a replacement that failed, ms; doubled each time up to the second figure. */
const RETRY = [5_000, 300_000] as const;
/** When something else is under way, ms. */
const BUSY = 1_000;

/** A limit: its option, what a worker has of it, and how both are told. */
interface Limit {
  key: 'maxRss' | 'maxHeapUsed' | 'maxRequests' | 'maxAge';
  what: string;
  value(pulse: Pulse): number;
  tell(value: number): string;
}
const LIMITS: readonly Limit[] = [
  { key: 'maxRss', what: 'rss', value: ({ last }) => last?.rss ?? 0, tell: megabytes },
  { key: 'maxHeapUsed', what: 'heap', value: ({ last }) => last?.heapUsed ?? 0, tell: megabytes },
  { key: 'maxRequests', what: 'requests', value: ({ last }) => last?.requests ?? 0, tell: (value) => String(Math.ceil(value)) },
  // Not Date: a clock that is set must not make everybody old at once.
  {
    key: 'maxAge', what: 'age', value: ({ readyTick }) => readyTick === null ? 0 : performance.now() - readyTick,
    tell: (value) => `${(value / 1000).toFixed(1)} s`,
  },
];

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}

/** A worker that is over one of its limits, or due for another reason. */
interface Due {
  pulse: Pulse;
  /** How far over it, 1 = exactly there. */
  excess: number;
  why: string;
}

/**
 * Replaces workers that have grown too big, too old or too busy (one that was replaced already, and is too big, is ended): one
 * at a time, the one furthest over its limit first, its
 * replacement ready before it drains. What it leaves to the master: that nothing else (a reload, a scale) is under way.
 */
export class Recycler {
  readonly #master: Master;
  readonly #pulses: Pulses;
  readonly #options: HealthCheckOptions;
  /** Each worker's own share of every limit, 1 - jitter..1. */
  readonly #shares = new WeakMap<ChildView, number>();
  /** Due by the calendar. */
  readonly #scheduled = new WeakSet<ChildView>();
  #busy = false;
  #notBefore = 0;
  #failures = 0;

  constructor(master: Master, pulses: Pulses, options: HealthCheckOptions) {
    this.#master = master;
    this.#pulses = pulses;
    this.#options = options;
    pulses.onSample(() => this.#next());
  }

  /** Has every worker that runs now replaced, one after the other. */
  recycleAll(): void {
    for (const { child } of this.#pulses.ready()) if (child.role === 'worker') this.#scheduled.add(child);
    this.#next();
  }

  #next(): void {
    if (this.#busy || performance.now() < this.#notBefore || this.#master.closing) return;
    const all = [...this.#pulses.ready(), ...this.#pulses.ducks(), ...this.#pulses.standbys()];
    const [due] = all.flatMap((pulse) => this.#dueOf(pulse) ?? []).sort((a, b) => b.excess - a.excess);
    if (due) void this.#recycle(due);
  }

  #dueOf(pulse: Pulse): Due | null {
    const { child } = pulse;
    if (child.role !== 'worker') return null;
    const share = this.#shares.get(child) ?? 1 - Math.random() * this.#options.jitter;
    this.#shares.set(child, share);
    const isScheduled = this.#scheduled.has(child) && !child.onlyStreams;
    let due: Due | null = isScheduled ? { pulse, excess: 1, why: `schedule ${this.#options.cron}` } : null;
    for (const { key, what, value, tell } of LIMITS) {
      const limit = this.#options[key];
      // One that serves nobody has only its memory to answer for.
      if (limit === undefined || ((child.onlyStreams || child.standsBy) && key !== 'maxRss' && key !== 'maxHeapUsed')) continue;
      const own = limit * share;
      const now = value(pulse);
      const excess = now / own;
      if (now >= own && excess > (due?.excess ?? 0)) due = { pulse, excess, why: `${what} ${tell(now)}, ${key} ${tell(own)}` };
    }
    return due;
  }

  async #recycle({ pulse, why }: Due): Promise<void> {
    const { logger } = this.#master;
    this.#busy = true;
    try {
      const started = performance.now();
      const replaced = await this.#master.replace(pulse.child, 'recycle');
      this.#failures = 0;
      if (replaced) logger.info(`${pulse.name} was recycled (${why}) within ${Math.round(performance.now() - started)}ms`);
      else this.#notBefore = performance.now() + BUSY;
    } catch (error) {
      if (this.#master.closing) return;
      const wait = Math.min(RETRY[0] * 2 ** this.#failures++, RETRY[1]);
      this.#notBefore = performance.now() + wait;
      logger.error(`${pulse.name} could not be recycled (${why}); it goes on, the next try is in ${wait}ms`, { error });
    } finally {
      this.#busy = false;
    }
  }
}
