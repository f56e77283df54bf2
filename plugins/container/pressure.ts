import { readFileSync } from 'node:fs';
import type { ChildView, Master, MemoryLimit } from '../../lib/index.js';

/** Share of the limit from which on something is done, and below which all is well again. */
const HIGH = 0.9;
const WELL = 0.85;
/** Between two workers that are recycled, ms. */
const PAUSE = 60_000;
/** What a successor needs to come up, of what the largest worker had to itself when it was ready. */
const TO_COME_UP = 2;
/** How much longer coming up may take than it took the worker that goes. */
const SLOWER = 2;
/** Looks over which growth is measured. */
const LOOKS = 5;
/** How long a worker has to go where there is no room for its successor beside it: others serve, or connections wait; ms. */
const TO_GO = { served: 10_000, alone: 1_000 };
/** How long those that only finish streams are given to go, before a worker has to; ms. */
const FOR_DUCKS = 5_000;

/** What a process has to itself, bytes: pages of files that it maps the kernel can take back. 0: it is gone. */
export type OwnMemory = (pid: number) => number;

export const ownMemory: OwnMemory = (pid) => {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(text)?.[1] ?? NaN);
    const own = kilobytes('RssAnon') + kilobytes('RssShmem');
    return (Number.isNaN(own) ? kilobytes('VmRSS') || 0 : own) * 1024;
  } catch {
    return 0;
  }
};

/**
 * Looks at how much of the container's memory is in use, and makes room before the kernel does, which kills: over nine tenths
 * workers that stand by, or were replaced, and only finish streams, are ended; where that is not enough the largest worker is recycled, its
 * successor ready first. Not one that was too large for the container when it became ready: its successor would be as large.
 */
export class Pressure {
  readonly #master: Master;
  readonly #own: OwnMemory;
  /** Of each worker when it became ready, bytes. */
  readonly #atReady = new WeakMap<ChildView, number>();
  /** What was said in this bout, so that it is not said twice. */
  readonly #said = new Set<string>();
  /** Of those that are told to go, when they were, `performance.now()`. */
  readonly #ending = new Map<ChildView, number>();
  /** The last looks, the latest at the end. */
  readonly #looks: { at: number; workingSet: number }[] = [];
  #recycledAt = -Infinity;
  /** When those that stood by were ended. */
  #roomAt = -Infinity;
  #busy = false;

  constructor(name: string, master: Master, own: OwnMemory = ownMemory) {
    this.#master = master;
    this.#own = own;
    master.hooks.workerReady.tap(name, (child) => { this.#atReady.set(child, own(child.pid)); });
  }

  look({ limit, workingSet }: MemoryLimit, now = performance.now()): void {
    this.#looks.push({ at: now, workingSet });
    if (this.#looks.length > LOOKS) this.#looks.shift();
    if (workingSet <= limit * WELL) this.#said.clear();
    if (workingSet <= limit * HIGH || this.#busy || this.#master.closing) return;
    this.#warn('high', `${megabytes(workingSet)} of the ${megabytes(limit)} that this container may have are in use; `
      + 'at the limit the kernel kills a process');
    const madeRoom = this.#master.shared('standby')?.makeRoom() ?? false;
    if (madeRoom) this.#roomAt = now;
    // What nothing depends on goes first, and needs a moment to be gone.
    if (this.#endDucks(now) || now - this.#roomAt < FOR_DUCKS || now - this.#recycledAt < PAUSE) return;
    const share = this.#shareOf(limit, workingSet);
    const largest = this.#largest(share);
    if (largest) void this.#recycle(largest, limit - workingSet, now);
    else this.#warn('none', `no worker can be recycled for it: each had more than its share of ${megabytes(share)} when it became ready; `
      + 'the container is too small for so many workers');
  }

  /** True while there are some that may still make room. */
  #endDucks(now: number): boolean {
    const ducks = this.#master.children().filter(({ onlyStreams }) => onlyStreams);
    for (const child of ducks) if (!this.#ending.has(child)) void this.#end(child, now);
    return ducks.some((child) => now - (this.#ending.get(child) ?? now) < FOR_DUCKS);
  }

  async #end(child: ChildView, now: number): Promise<void> {
    const { logger } = this.#master;
    this.#ending.set(child, now);
    try {
      logger.info(`${nameOf(child)} only finishes streams, and is ended for its memory, ${megabytes(this.#own(child.pid))}`);
      await this.#master.replace(child, 'recycle');
    } catch (error) {
      if (!this.#master.closing) logger.error(`${nameOf(child)} could not be ended for want of memory`, { error });
    } finally {
      this.#ending.delete(child);
    }
  }

  /** Of one worker: what all others of the container leave of nine tenths. */
  #shareOf(limit: number, workingSet: number): number {
    const workers = this.#master.children().filter(({ role }) => role === 'worker');
    const others = workingSet - workers.reduce((sum, { pid }) => sum + this.#own(pid), 0);
    return Math.max(0, limit * HIGH - Math.max(0, others)) / this.#master.slots.length;
  }

  #largest(share: number): { child: ChildView; bytes: number } | undefined {
    const serving = this.#master.slots.flatMap(({ ready, current }) => ready && current ? [current] : []);
    return serving.filter((child) => (this.#atReady.get(child) ?? 0) <= share)
      .map((child) => ({ child, bytes: this.#own(child.pid) }))
      .sort((one, other) => other.bytes - one.bytes)[0];
  }

  /** `room`: bytes that are left. */
  async #recycle({ child, bytes }: { child: ChildView; bytes: number }, room: number, now: number): Promise<void> {
    const { logger } = this.#master;
    const name = nameOf(child);
    const before = this.#recycledAt;
    this.#busy = true;
    this.#recycledAt = now;
    try {
      const replaced = await this.#master.replace(child, 'recycle', this.#how(child, room));
      if (replaced) logger.info(`${name} was recycled: of the container's workers it had the most memory, ${megabytes(bytes)}`);
      // Something else was under way, and may have made room.
      else this.#recycledAt = before;
    } catch (error) {
      if (!this.#master.closing) logger.error(`${name} could not be recycled for its memory`, { error });
    } finally {
      this.#busy = false;
    }
  }

  /** Where connections cannot wait in the master somebody else has to serve. */
  #how(child: ChildView, room: number): { leavesFirst?: number } {
    const { slots, config } = this.#master;
    const serving = slots.flatMap(({ ready, current }) => ready && current ? [current] : []);
    const comingUp = TO_COME_UP * Math.max(0, ...serving.map((one) => this.#atReady.get(one) ?? 0));
    const need = comingUp + this.#growth() * SLOWER * ((child.readyAt ?? child.startedAt) - child.startedAt);
    const isAlone = serving.every((one) => one === child);
    if (room >= need || (isAlone && config.balance !== 'round-robin')) return {};
    return { leavesFirst: isAlone ? TO_GO.alone : TO_GO.served };
  }

  /** Bytes a millisecond. */
  #growth(): number {
    const [first, last] = [this.#looks[0], this.#looks.at(-1)];
    return first && last && last.at > first.at ? Math.max(0, last.workingSet - first.workingSet) / (last.at - first.at) : 0;
  }

  #warn(about: string, text: string): void {
    if (this.#said.has(about)) return;
    this.#said.add(about);
    this.#master.logger.warn(`memory: ${text}`);
  }
}

const nameOf = ({ slot, pid }: ChildView): string => `worker#${slot} (pid ${pid})`;

export const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`;
