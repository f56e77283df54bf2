import { standbys, type ChildView, type ExitInfo, type FillDecision, type ForkSpec, type Master } from '../../lib/index.js';

/** Milliseconds after a worker's ready: its first answers come before the next one that is to wait. */
const LATER = 150;
/** Before another try where one has failed or died, ms: doubled each time up to the second figure. */
const AGAIN = [1_000, 60_000] as const;
/** One that has waited so long, ms, has not failed. */
const LASTED = 60_000;
/** For want of memory there are none for so long, ms. */
const NO_ROOM = 60_000;
const NO_SLOT = -1;

/** Slots may have entries of their own. */
const isOf = ({ entry, dir }: Readonly<ForkSpec>, child: ChildView): boolean => child.entry === entry && child.dir === dir;

const isStarting = (child: ChildView | null): boolean => child?.state === 'forked' || child?.state === 'booting';

interface Spare {
  readonly generation: number;
  /** The only one that it is for, or NO_SLOT. */
  readonly slot: number;
  /** A slot is about to have it. */
  taken: boolean;
  /** We have ended it ourselves. */
  ended: boolean;
}

/**
 * The workers that wait: as many as the configuration says, of the release that runs and, in a reload, of the one that comes. One
 * is started at a time, and none while something serves its first answers.
 */
export class Reserve {
  readonly #master: Master;
  readonly #spares = new Map<ChildView, Spare>();
  /** Generations that a reload has begun with. */
  #coming: number | null = null;
  /** A fork whose gates are not through. */
  #forking = false;
  #open = false;
  #timer: NodeJS.Timeout | undefined;
  /** The timer is that of a pause, which nothing shortens but a reload. */
  #pausing = false;
  /** In a row. */
  #failures = 0;

  constructor(master: Master) {
    this.#master = master;
  }

  /** All are ready for the first time. */
  open(): void {
    this.#open = true;
    this.fillSoon();
  }

  close(): void {
    this.#open = false;
    clearTimeout(this.#timer);
  }

  /**
   * For a slot that needs a worker. Of the release that runs one that has loaded; a reload begins with one that is started for it,
   * and goes on with the next one, be that loading still.
   */
  take(spec: Readonly<ForkSpec>): FillDecision {
    const { slot, generation } = spec;
    if (!this.#open) return undefined;
    const isComing = generation !== this.#master.generation;
    const found = this.#of(generation).find(([child, spare]) => !spare.taken && isOf(spec, child)
      && (spare.slot === NO_SLOT || spare.slot === slot) && (child.standsBy === 'loaded' || (isComing && child.standsBy === 'loading')));
    if (found) {
      found[1].taken = true;
      return { child: found[0] };
    }
    if (!isComing || this.#coming === generation || this.#wanted().count === 0) return undefined;
    this.#coming = generation;
    return { child: this.#fork(generation, this.#wanted().perSlot ? slot : NO_SLOT, true).then((child) => {
      const spare = this.#spares.get(child);
      // Another slot may want it.
      if (spare && !isOf(spec, child)) spare.taken = false;
      return child;
    }) };
  }

  loaded(child: ChildView): void {
    if (this.#spares.has(child)) this.fillSoon();
  }

  /** A slot has it. */
  gone(child: ChildView): void {
    if (this.#spares.delete(child)) this.#failures = 0;
  }

  ended(child: ChildView, { uptime }: ExitInfo): void {
    const spare = this.#spares.get(child);
    if (!spare) return;
    this.#spares.delete(child);
    if (!spare.ended && !this.#master.closing) this.#failed(uptime >= LASTED);
    this.fillSoon();
  }

  /** A reload has ended, well or not: what is of another release than what runs now is of no use. */
  renew(): void {
    this.#coming = null;
    this.#pausing = false;
    this.#endOld();
    this.#failures = 0;
    this.fillSoon();
  }

  makeRoom(): boolean {
    const waiting = [...this.#spares].filter(([, { taken, ended }]) => !taken && !ended);
    if (waiting.length === 0) return false;
    this.#pause(NO_ROOM);
    for (const [child] of waiting) this.#end(child);
    this.#master.logger.warn(`memory: ${waiting.length} that stood by ${waiting.length === 1 ? 'is' : 'are'} ended to make room; `
      + `the next one comes in ${NO_ROOM / 1_000} s`);
    return true;
  }

  fillSoon(): void {
    if (this.#open && !this.#pausing) this.#after(LATER);
  }

  #pause(wait: number): void {
    if (this.#open) this.#after(wait);
    this.#pausing = true;
  }

  #after(wait: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#master.guard('filling up', () => this.#fill()), wait).unref();
  }

  #wanted(): { count: number; perSlot: boolean } {
    return standbys(this.#master.config);
  }

  #of(generation: number): [ChildView, Spare][] {
    return [...this.#spares].filter(([, spare]) => spare.generation === generation && !spare.ended);
  }

  /** What is of neither the release that runs nor one that comes. */
  #endOld(): void {
    const { generation: now } = this.#master;
    if (this.#coming === now) this.#coming = null;
    for (const [child, { generation }] of this.#spares) if (generation !== now && generation !== this.#coming) this.#end(child);
  }

  #fill(): void {
    this.#pausing = false;
    if (!this.#open || this.#master.closing) return;
    this.#endOld();
    const { count, perSlot } = this.#wanted();
    const { slots } = this.#master;
    const generation = this.#coming ?? this.#master.generation;
    const places = perSlot ? slots.map(({ index }) => index) : [NO_SLOT];
    const waiting = this.#of(generation).filter(([, { taken }]) => !taken);
    for (const [at, [child, { slot }]] of waiting.entries()) {
      const isOver = places.includes(slot) ? waiting.slice(0, at).filter(([, one]) => one.slot === slot).length >= count : true;
      if (isOver) this.#end(child);
    }
    // One at a time, and none beside a worker that starts: it needs the processors more.
    const starts = slots.some(({ current, successor }) => isStarting(current) || isStarting(successor));
    if (this.#forking || starts || waiting.some(([child]) => child.standsBy === 'loading')) return;
    const place = places.find((slot) => waiting.filter(([, one]) => one.slot === slot).length < count);
    if (place !== undefined) this.#fork(generation, place, false).catch(() => {});
  }

  async #fork(generation: number, slot: number, taken: boolean): Promise<ChildView> {
    this.#forking = true;
    try {
      const child = await this.#master.standBy({ generation, ...(slot === NO_SLOT ? {} : { slot }) });
      // One that has ended in this turn is told of before it is known.
      if (child.state !== 'exited') this.#spares.set(child, { generation, slot, taken, ended: false });
      return child;
    } catch (error) {
      if (!this.#master.closing && !taken) {
        this.#master.logger.error('no worker can be started to stand by', { error });
        this.#failed(false);
        this.fillSoon();
      }
      throw error;
    } finally {
      this.#forking = false;
    }
  }

  #failed(isFirst: boolean): void {
    this.#failures = isFirst ? 1 : this.#failures + 1;
    const wait = Math.min(AGAIN[0] * 2 ** (this.#failures - 1), AGAIN[1]);
    this.#pause(wait);
    this.#master.logger.warn(`the next worker to stand by comes in ${wait}ms (${this.#failures} ended in a row)`);
  }

  #end(child: ChildView): void {
    const spare = this.#spares.get(child);
    if (!spare || spare.ended) return;
    spare.ended = true;
    void this.#master.replace(child, 'reload').catch(() => {});
  }
}
