import { ClusterError } from '../../kit/errors.js';
import type { Release } from '../releases.js';
import type { Child } from './child.js';
import { describeExit } from './exit-report.js';
import { Slot, type SlotNeeds } from './slot.js';

/** The slots of the workers, by index. */
export class Workers {
  readonly slots: Slot[] = [];
  /** Scaled away; their last processes are not gone yet. */
  readonly #leaving = new Set<Slot>();
  /** Slots that were left empty will be filled again by the plugin that left them: nobody gives up meanwhile. */
  leftReturn = false;
  readonly #needs: SlotNeeds;

  constructor(needs: SlotNeeds) {
    this.#needs = needs;
  }

  /** Those that were scaled away too, as long as they have a process. */
  get all(): Slot[] {
    return [...this.slots, ...this.#leaving];
  }

  /** Every worker process that is not gone, those that only finish streams, or stand by, among them. */
  children(): Child[] {
    return [...this.all.flatMap((slot) => slot.children()), ...this.#needs.ducks.children(), ...this.#needs.standbys.children()];
  }

  ready(): Child[] {
    const all: Child[] = [];
    // Asked for at each change of each: no list a slot.
    for (const { ready, current } of this.slots) if (ready && current) all.push(current);
    return all;
  }

  /** Every slot has a worker that is ready. */
  get complete(): boolean {
    return this.slots.every((slot) => slot.ready);
  }

  /** Somebody is starting, waits to start, or stays away on purpose. */
  get pending(): boolean {
    return this.slots.some((slot) => slot.pending || (slot.left && this.leftReturn));
  }

  /** Makes slots up to `count` and forks a worker in each new one, in parallel. Rejects with the first that fails. */
  async grow(count: number, release: Release): Promise<void> {
    const added = this.addSlots(count);
    await Promise.all(added.map((slot) => slot.start(release)));
    // Ready, and gone before the others were: nobody replaces it before the start is done, so the start has failed.
    const died = this.#needs.life.started ? undefined : added.find((slot) => slot.current === null);
    if (!died) return;
    const how = died.lastExit ? describeExit(died.lastExit) : 'it left';
    const detail = died.lastExit?.error;
    throw new ClusterError('ERR_CLUSTER_START', `worker#${died.index} died before all were ready: ${how}`, { detail });
  }

  /** Empty slots up to `count`, to be filled by whoever asks for them; gives those that are new. */
  addSlots(count: number): Slot[] {
    const added: Slot[] = [];
    while (this.slots.length < count) {
      const slot = new Slot(this.#needs, 'worker', this.slots.length);
      this.slots.push(slot);
      added.push(slot);
    }
    return added;
  }

  /** Takes the slots above `count` away; resolves when their workers have drained. */
  async shrink(count: number): Promise<void> {
    const leaving = this.slots.splice(count);
    this.#needs.life.staffChanged();
    await Promise.all(leaving.map(async (slot) => {
      this.#leaving.add(slot);
      await slot.remove();
      // One that is being forked at this moment is still to be seen dying.
      if (!slot.pending && slot.children().length === 0) this.#leaving.delete(slot);
    }));
  }
}
