import type { ClusterError, Master, MemoryLimit } from '../../lib/index.js';
import type { Heaps } from './heaps.js';
import { megabytes } from './pressure.js';

/** After what has failed, ms; doubled each time up to the second figure. */
const RETRY = [5_000, 300_000] as const;

/** What a container has, as it was seen at one moment. */
export interface Limits {
  /** Processors of its quota. */
  cpus: number | null;
  memory: MemoryLimit | null;
  /** Workers that `auto` would be now; null: the number was said. */
  workers: number | null;
}

/** Something that has to change. `name` tells two of them apart. */
interface Step {
  name: string;
  take(): Promise<unknown>;
}

/**
 * Follows limits that are changed while the container runs: the number of workers, where it is `auto`, and the heaps. It compares
 * what is with what should be, so that nothing is forgotten that could not be done at once.
 */
export class Following {
  readonly #master: Master;
  readonly #heaps: Pick<Heaps, 'wanted' | 'stale'>;
  #told: Limits | null = null;
  /** Workers that `auto` was when it was last followed. */
  #auto: number | null = null;
  /** The step that the look before this one found. */
  #seen: string | undefined;
  /** What is found next belongs to the change that was just followed. */
  #goesOn = false;
  #busy = false;
  #notBefore = 0;
  #failures = 0;

  constructor(master: Master, heaps: Pick<Heaps, 'wanted' | 'stale'>) {
    this.#master = master;
    this.#heaps = heaps;
  }

  look(limits: Limits, now = performance.now()): void {
    // The start has counted as well, perhaps of other limits; a number that was said, and is `auto` after a reload, stays as it is.
    this.#auto ??= this.#told ? limits.workers : this.#master.slots.length;
    if (limits.workers === null) this.#auto = null;
    this.#tell(limits);
    if (this.#busy || this.#master.closing || now < this.#notBefore) return;
    const step = this.#step(limits);
    // Limits are written one after the other: what was true a look ago is not half of a change.
    const isSure = this.#goesOn || step?.name === this.#seen;
    this.#seen = step?.name;
    this.#goesOn = false;
    if (step && isSure) void this.#take(step);
  }

  #step({ workers, memory }: Limits): Step | null {
    const { slots } = this.#master;
    if (workers !== null && workers !== this.#auto) {
      const followed = (): void => { this.#auto = workers; };
      if (slots.length === this.#auto) return { name: `workers ${workers}`, take: () => this.#master.scale(workers).then(followed) };
      this.#master.logger.info(`workers: auto would be ${workers} now; there are ${slots.length}, as somebody has scaled them`);
      followed();
    }
    if (!this.#heaps.stale) return null;
    const { wanted } = this.#heaps;
    const reason = wanted === null ? 'heaps are limited no more' : `heaps of ${wanted} MB, memory limit ${megabytes(memory?.limit ?? 0)}`;
    return { name: reason, take: () => this.#master.reload(reason, { queue: true }) };
  }

  async #take({ name, take }: Step): Promise<void> {
    this.#busy = true;
    try {
      await take();
      this.#failures = 0;
      this.#goesOn = true;
    } catch (error) {
      if (this.#master.closing || (error as ClusterError).code === 'ERR_CLUSTER_BUSY') return;
      const wait = Math.min(RETRY[0] * 2 ** this.#failures++, RETRY[1]);
      this.#notBefore = performance.now() + wait;
      this.#master.logger.warn(`the container's limits could not be followed (${name}); the next try is in ${wait}ms`, { error });
    } finally {
      this.#busy = false;
      this.#seen = undefined;
    }
  }

  #tell(limits: Limits): void {
    const before = this.#told;
    this.#told = limits;
    if (!before) return;
    const changes = [
      changed('processors', before.cpus, limits.cpus, (cpus) => String(Number(cpus.toFixed(2)))),
      changed('memory', before.memory?.limit ?? null, limits.memory?.limit ?? null, megabytes),
    ].filter((change) => change !== null);
    if (changes.length > 0) this.#master.logger.info(`the container's limits have changed: ${changes.join(', ')}`);
  }
}

function changed(what: string, before: number | null, now: number | null, text: (value: number) => string): string | null {
  const shown = (value: number | null) => value === null ? 'none' : text(value);
  return before === now ? null : `${what} ${shown(before)} -> ${shown(now)}`;
}
