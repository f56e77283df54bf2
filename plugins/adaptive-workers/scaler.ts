import { workerRange } from '../../lib/index.js';
import type { ChildView, ClusterError, Master, MemoryLimit, Status, WorkerRange } from '../../lib/index.js';
import { megabytes, ownMemory } from '../container/pressure.js';
import type { Pulse } from '../health-check/pulse.js';
import type { Pulses } from '../health-check/pulses.js';
import type { Sample } from '../health-check/messages.js';
import { Load, Policy, type Move } from './policy.js';

/** Between two looks, and between two samples of a worker, ms. */
export const INTERVAL = 250;
/** Share of a container's memory that is in use at most, with one worker more. */
const FULL = 0.9;
/** Before another try where a worker could not be started, ms: doubled each time up to the second figure. */
const AGAIN = [5_000, 300_000] as const;
/** What holds a move back is told for so long after it was last found, ms. */
const HELD = 2_000;

type Told = NonNullable<Status['adaptive']>;
/** What is needed of the pulses. */
type SampledPulses = Pick<Pulses, 'interval' | 'onSample' | 'of'>;
type Hold = 'most' | 'memory' | 'failed';

/** Looks at the load, and has the master change the number of workers as the policy says. */
export class Scaler {
  readonly #master: Master;
  readonly #pulses: SampledPulses;
  readonly #limit: () => MemoryLimit | null;
  readonly #policy: Policy;
  readonly #loads = new WeakMap<ChildView, Load>();
  /** The last one that was configured: a configuration without one waits for a restart. */
  #range: WorkerRange;
  /** That we have asked for, and is under way. */
  #moving: Move | null = null;
  /** What somebody else has asked for, and is under way. */
  #asked: number | null = null;
  #lastMove: Told['lastMove'] = null;
  #held: { by: Hold; why: string; at: number } | null = null;
  #failures = 0;
  #notBefore = 0;
  /** While it looks. */
  #timer: NodeJS.Timeout | undefined;
  readonly #moves = new Map<string, number>();
  readonly #holds = new Map<Hold, number>();

  /** `limit`: of the container's memory. */
  constructor(name: string, master: Master, pulses: SampledPulses, range: WorkerRange, limit: () => MemoryLimit | null) {
    this.#master = master;
    this.#limit = limit;
    this.#pulses = pulses;
    this.#range = range;
    this.#policy = new Policy(() => this.#range);
    pulses.interval = Math.min(pulses.interval, INTERVAL);
    pulses.onSample((pulse, sample) => this.#sampled(pulse, sample));
    const { clusterReady, beforeScale, scaled, scaleChanged, reloaded, beforeClose, collectStatus } = master.hooks;
    clusterReady.tap(name, () => {
      this.#timer = setInterval(master.guard('the number of workers', () => this.#look(performance.now())), INTERVAL).unref();
    });
    beforeScale.tap(name, (from, to) => this.#refuses(from, to));
    scaled.tap(name, (from, to) => this.#scaledTo(from, to));
    scaleChanged.tap(name, (from, to) => this.#takenBack(from, to));
    reloaded.tap(name, () => this.#renewed());
    beforeClose.tap(name, () => {
      clearInterval(this.#timer);
      this.#timer = undefined;
    });
    collectStatus.tap(name, (status) => this.#tell(status));
  }

  /** A reload has ended: the range may be another one, and the processes are. */
  #renewed(): void {
    this.#range = workerRange(this.#master.config) ?? this.#range;
    this.#policy.forget(performance.now());
  }

  /** Before the number changes: one that somebody else asks for has to be in the range, and is the fewest from then on. */
  #refuses(from: number, to: number): string | undefined {
    if (this.#moving?.to === to) {
      this.#asked = null;
      this.#master.logger.info(`${to > from ? 'more' : 'fewer'} workers: ${this.#moving.why}`);
      return undefined;
    }
    const { min, max } = this.#range;
    if (to < min || to > max) return `expected from ${min} to ${max} workers, the range of \`workers\`, found ${to}`;
    this.#asked = to;
    if (from === to) this.#scaledTo(from, to);
    return undefined;
  }

  /** The number is going to change back: what somebody asked for could not be done. */
  #takenBack(from: number, to: number): void {
    if (this.#asked === from && from > to) this.#asked = null;
  }

  /** The number has changed. */
  #scaledTo(from: number, to: number): void {
    if (this.#asked !== to) return;
    this.#asked = null;
    this.#policy.floor = to;
    this.#policy.forget(performance.now());
    if (from !== to) this.#note({ from, to, cause: 'asked', why: 'asked for; there are not fewer until a restart' });
  }

  #tell(status: Status): Status {
    const { min, max, quiet } = this.#policy.range;
    const moves = [...this.#moves].map(([name, count]) => {
      const [direction, cause] = name.split(' ') as ['up' | 'down', string];
      return { direction, cause, count };
    });
    const holds = [...this.#holds].map(([by, count]) => ({ by, count }));
    const held = this.#held && performance.now() - this.#held.at < HELD ? this.#held.why : null;
    return { ...status, adaptive: { min, max, quiet, scaled: this.#policy.isScaled, lastMove: this.#lastMove, held, moves, holds } };
  }

  #sampled({ child, samples }: Pulse, { at, eventLoopUtilization }: Sample): void {
    const before = samples.at(-2);
    // The first one tells of the start.
    if (child.role !== 'worker' || !before) return;
    let load = this.#loads.get(child);
    if (!load) this.#loads.set(child, load = new Load(this.#range.quiet));
    if (load.add(eventLoopUtilization, at - before.at) && this.#timer) this.#look(performance.now());
  }

  #look(now: number): void {
    const { slots, state } = this.#master;
    if (this.#moving) return;
    // What is seen in a reload says nothing of the load.
    if (state !== 'running') return this.#policy.forget(now);
    const serving = slots.flatMap(({ current, ready }) => ready && current ? [current] : []);
    const move = this.#policy.judge({
      now,
      workers: slots.length,
      complete: serving.length === slots.length,
      wait: Math.max(0, ...this.#master.listening.map(({ longestWait }) => longestWait)),
      silence: Math.max(0, ...serving.map((child) => this.#pulses.of(child)?.silence() ?? 0)),
      loads: serving.flatMap((child) => this.#loads.get(child) ?? []),
    });
    if (this.#policy.short) this.#hold('most', `more is asked than ${this.#policy.range.max} can do, which are the most`, now);
    if (move && !this.#isHeld(move, serving, now)) void this.#make(move);
  }

  /** The load asks for it, and yet it is not done. */
  #isHeld({ from, to, cause }: Move, serving: readonly ChildView[], now: number): boolean {
    if (to < from || cause === 'range') return false;
    if (now < this.#notBefore) {
      this.#hold('failed', `the last one could not be started; the next try is in ${Math.ceil((this.#notBefore - now) / 1_000)} s`, now);
      return true;
    }
    const full = this.#full(serving);
    if (full !== null) this.#hold('memory', full, now);
    return full !== null;
  }

  #full(serving: readonly ChildView[]): string | null {
    const memory = this.#master.config.memory === 'off' ? null : this.#limit();
    if (!memory) return null;
    const another = Math.max(0, ...serving.map(({ pid }) => ownMemory(pid)));
    if (memory.workingSet + another <= memory.limit * FULL) return null;
    return `${megabytes(memory.workingSet)} of the container's ${megabytes(memory.limit)} are in use, and another worker takes `
      + megabytes(another);
  }

  #hold(by: Hold, why: string, now: number): void {
    const { at = -Infinity, by: before } = this.#held ?? {};
    const isNew = before !== by || now - at > HELD;
    this.#held = { by, why, at: now };
    if (!isNew) return;
    this.#holds.set(by, (this.#holds.get(by) ?? 0) + 1);
    this.#master.logger.info(`workers stay ${this.#master.slots.length}: ${why}`);
  }

  async #make(move: Move): Promise<void> {
    const { logger } = this.#master;
    const { from, to } = move;
    this.#moving = move;
    try {
      await this.#master.scale(to);
      this.#failures = 0;
      this.#held = null;
      this.#note(move);
    } catch (error) {
      // Something else is under way, and comes first.
      if (this.#master.closing || (error as ClusterError).code === 'ERR_CLUSTER_BUSY') return;
      const wait = Math.min(AGAIN[0] * 2 ** this.#failures++, AGAIN[1]);
      this.#notBefore = performance.now() + wait;
      logger.warn(`workers stay ${from}; the next try is in ${wait}ms`, { error });
    } finally {
      this.#moving = null;
      this.#policy.forget(performance.now());
    }
  }

  #note({ from, to, cause, why }: Omit<NonNullable<Told['lastMove']>, 'at'>): void {
    const name = `${to > from ? 'up' : 'down'} ${cause}`;
    this.#moves.set(name, (this.#moves.get(name) ?? 0) + 1);
    this.#lastMove = { from, to, cause, why, at: new Date().toISOString() };
    // Who keeps a connection would never come to one that is new.
    if (to > from) for (const { current } of this.#master.slots.slice(0, from)) current?.channel.send('adaptive.spread', null);
  }
}
