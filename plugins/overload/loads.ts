import type { ChildView, ListeningAddress, Master, OverloadStatus, Status } from '../../lib/index.js';
import { isLoad, SHEDDABLE, type Load, type Shed } from './messages.js';

const NAME = 'overload';
/** A worker that has said nothing for so long, ms, is blocked: whatever it has said before. */
const SILENT = 1_000;
/** So long after it was over its limit for the last time a worker does not count as ready, ms: a balancer is not to see it flicker. */
const HELD = 1_000;
/** Between two log lines of one slot, ms. */
const QUIET = 10_000;

interface Known extends Load {
  /** performance.now() of its last report. */
  at: number;
  /** When it was over its limit for the last time. */
  overAt: number;
  /** Connections that it was handed since that report. */
  given: number;
}

/** What the workers tell, and what the master makes of it: who is the least busy, and whether all have too much. */
export class Loads {
  readonly #master: Master;
  readonly #all = new WeakMap<ChildView, Known>();
  /** By slot, over all of its processes. */
  readonly #shed = new Map<number, Shed>();
  readonly #saidAt = new Map<number, number>();
  /** When a slot was picked for the last time, in picks. */
  readonly #picked = new Map<number, number>();
  picks = 0;

  constructor(master: Master) {
    this.#master = master;
    master.hooks.workerForked.tap(NAME, (child) => child.channel.on('overload.load', (load) => this.#heard(child, load), isLoad));
  }

  #heard(child: ChildView, load: Load): void {
    const now = performance.now();
    const before = this.#all.get(child);
    this.#all.set(child, { ...load, at: now, overAt: load.over || before?.over ? now : before?.overAt ?? -Infinity, given: 0 });
    const shed = this.#shed.get(child.slot) ?? { low: 0, normal: 0, high: 0 };
    for (const name of SHEDDABLE) shed[name] += Math.max(0, load.shed[name] - (before?.shed[name] ?? 0));
    this.#shed.set(child.slot, shed);
    if (load.over && !before?.over) this.#say(child, load, now);
  }

  #say({ slot }: ChildView, { target }: Load, now: number): void {
    if (now < (this.#saidAt.get(slot) ?? -Infinity) + QUIET) return;
    this.#saidAt.set(slot, now);
    this.#master.logger.warn(`worker#${slot} is over its limit: it sheds requests that have waited for more than ${Math.round(target)} ms`);
  }

  #of(slot: number): Known | undefined {
    const child = this.#master.slots[slot]?.current;
    return child ? this.#all.get(child) : undefined;
  }

  /** Of those that could take a connection at once the one where it waits least; undefined: whoever is free first. */
  pick({ slots }: ListeningAddress): number | undefined {
    let [best, least] = [undefined as number | undefined, Infinity];
    for (const { index, ready, busy } of slots) {
      if (!ready || busy) continue;
      const wait = this.#waitAt(index);
      if (wait > least || (wait === least && this.#last(index) >= this.#last(best))) continue;
      [best, least] = [index, wait];
    }
    if (best === undefined) return undefined;
    this.#picked.set(best, ++this.picks);
    const known = this.#of(best);
    if (known) known.given++;
    return best;
  }

  #last(slot: number | undefined): number {
    return slot === undefined ? -1 : this.#picked.get(slot) ?? 0;
  }

  /** What is before a connection there, ms; of a worker that has told nothing yet, nothing. */
  #waitAt(slot: number): number {
    const known = this.#of(slot);
    return known ? known.wait + known.cost * (known.given + known.busy) : 0;
  }

  /**
   * How long a connection would wait where all workers that take any here are over their limits, as a share of what an ordinary
   * request may; null: one of them is not, or there is none.
   */
  fullness({ slots, waiting }: ListeningAddress, now: number): number | null {
    let [ready, queue, cost, target] = [0, waiting, 0, 0];
    for (const slot of slots) {
      queue += slot.waiting;
      if (!slot.ready) continue;
      const known = this.#of(slot.index);
      if (!known || !(known.over || (slot.busy && now - known.at > SILENT))) return null;
      ready++;
      cost += Math.max(known.cost, known.turn);
      target += known.target;
    }
    // As many as can be taken at once wait for nothing.
    return ready === 0 || queue < ready ? null : queue * cost / ready / target;
  }

  /** Why it does not count as ready; null: it does. */
  reason(child: ChildView): string | null {
    const known = this.#all.get(child);
    return known && (known.over || performance.now() - known.overAt < HELD) ? 'it is over its limit, and sheds requests' : null;
  }

  tell(status: Status, acceptor: OverloadStatus['acceptor']): Status {
    const known = new Map(this.#master.children().map((child) => [child.pid, this.#all.get(child)]));
    let over = 0;
    const withLoad = <T extends { pid: number | null }>(child: T): T => {
      const load = child.pid === null ? undefined : known.get(child.pid);
      if (!load) return child;
      if (load.over) over++;
      const { wait, cost, busy, target } = load;
      return { ...child, overload: { over: load.over, wait, cost, busy, target } };
    };
    const workers = status.workers.map(withLoad);
    const app = status.app ? { app: withLoad(status.app) } : {};
    const slots = [...this.#shed].sort(([a], [b]) => a - b).map(([slot, shed]) => ({ slot, shed: { ...shed } }));
    return { ...status, workers, ...app, overload: { over, slots, picks: this.picks, acceptor } };
  }
}
