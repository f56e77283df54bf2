import type { OwnerTable } from './messages.js';
import { best } from './rendezvous.js';

/** In a worker: who owns what, and waiting for it to change. */
export class Table {
  #table: OwnerTable = { slots: [], alive: [], closing: false, dir: '' };
  /** The youngest process heard of: ids count up. */
  #youngest = 0;
  /** Resolves with the first table. */
  readonly known: Promise<void>;
  #know!: () => void;
  readonly #waiting = new Set<() => void>();
  /** performance.now() since when a slot has had no owner. */
  readonly #missingSince = new Map<number, number>();

  readonly #patience: number;

  /** `patience`: milliseconds. */
  constructor(patience: number) {
    this.#patience = patience;
    this.known = new Promise((resolve) => { this.#know = resolve; });
  }

  update(table: OwnerTable): void {
    this.#know();
    this.#table = table;
    this.#youngest = Math.max(this.#youngest, ...table.alive);
    for (const [slot, id] of table.slots.entries()) {
      if (id > 0) this.#missingSince.delete(slot);
      else if (!this.#missingSince.has(slot)) this.#missingSince.set(slot, performance.now());
    }
    for (const wake of [...this.#waiting]) wake();
  }

  get closing(): boolean {
    return this.#table.closing;
  }

  get dir(): string {
    return this.#table.dir;
  }

  isAlive(id: number): boolean {
    return this.#table.alive.includes(id);
  }

  /** A process younger than all that were heard of may serve already: the news of it is on its way. */
  mayLive(id: number): boolean {
    return this.isAlive(id) || id > this.#youngest;
  }

  /** The process in charge of a slot; 0: none at the moment. */
  ownerOf(slot: number): number {
    return Math.max(0, this.#table.slots[slot] ?? 0);
  }

  counts(slot: number): boolean {
    return (this.#table.slots[slot] ?? -1) >= 0;
  }

  /** performance.now() at which patience with a slot without an owner is over. */
  patienceEnds(slot: number): number {
    return (this.#missingSince.get(slot) ?? performance.now()) + this.#patience;
  }

  /** The slot of a key. Slots without an owner for longer than patience give their keys to the next one of their order. */
  slotOf(key: number, without?: number): number | undefined {
    const { length } = this.#table.slots;
    const now = performance.now();
    const isOut = (slot: number): boolean => slot === without || !this.counts(slot);
    const isMissed = (slot: number): boolean => this.#missingSince.has(slot) && now >= this.patienceEnds(slot);
    return best(key, length, (slot) => isOut(slot) || isMissed(slot)) ?? best(key, length, isOut);
  }

  /** Resolves at the next change, or after `limit` ms. */
  changed(limit: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, limit);
      this.#waiting.add(wake);
    });
  }
}
