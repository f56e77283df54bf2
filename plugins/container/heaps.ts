import { standbys, workerRange, type ChildView, type ForkSpec, type Master, type MemoryLimit } from '../../lib/index.js';

const MB = 2 ** 20;
/** Share of the limit that is for processes: the rest is the kernel's (sockets, page tables), and what nobody foresees. */
const USABLE = 0.95;
/** For the master, bytes; it has 20 MB of its own when nothing happens. */
const MASTER = 40 * MB;
/** What a child needs beside its heap: bytes, and a share of all that is its own. */
const BESIDE = { bytes: 16 * MB, share: 0.15 };
/** Hardly an app comes up with less, MB. */
const LEAST = 32;
/** Somebody has said how large the heap is, in one of the ways that Node has. */
const SAID = /(?:^|[\s"])--max[-_](?:old[-_]space[-_]size(?:[-_]percentage)?|heap[-_]size)(?:[=\s"]|$)/;

/** The heap of each of so many processes that have `limit` bytes together, MB; young generation included. */
export function heapFor(limit: number, processes: number): number {
  const own = Math.max(0, limit * USABLE - MASTER) / processes;
  return Math.max(LEAST, Math.floor((own * (1 - BESIDE.share) - BESIDE.bytes) / MB));
}

/** MB; null: none was set; `said`: the user has set one. */
type Heap = number | null | 'said';

/**
 * With `memory: "limit"` gives each child a heap such that all processes that can live at the same time have room in the
 * container's limit together: workers, as many successors as a reload has at a time, and the agent. The flag is that for the
 * whole heap: what a young generation may take beside `--max-old-space-size` differs by 150 MB between versions of Node.
 */
export class Heaps {
  readonly #master: Master;
  readonly #limit: () => MemoryLimit | null;
  /** Of those that are being forked, by slot. */
  readonly #forking = new Map<number, Heap>();
  readonly #heaps = new WeakMap<ChildView, Heap>();
  #hasAgent = false;

  constructor(name: string, master: Master, limit: () => MemoryLimit | null) {
    this.#master = master;
    this.#limit = limit;
    const { beforeForkAgent, beforeForkWorker, agentForked, workerForked } = master.hooks;
    // After the taps of others, who may have said it.
    for (const hook of [beforeForkAgent, beforeForkWorker]) hook.tap({ name, stage: 100 }, (spec) => this.#prepare(spec));
    for (const hook of [agentForked, workerForked]) hook.tap(name, (child) => this.#forked(child));
  }

  /** The heap that each child should have now, MB; null: none is to be set. */
  get wanted(): number | null {
    const { config, slots } = this.#master;
    const limit = config.memory === 'limit' ? this.#limit() : null;
    if (limit === null) return null;
    // Of a range the most: else all would be replaced for each that comes.
    const workers = Math.max(workerRange(config)?.max ?? 0, slots.length || config.workers);
    const { count, perSlot } = standbys(config);
    const waiting = config.plugins.standby ? count * (perSlot ? workers : 1) : 0;
    return heapFor(limit.limit, workers + waiting + Math.min(config.reload.batch, workers) + (this.#hasAgent ? 1 : 0));
  }

  /** A child that serves has another heap than it should have. */
  get stale(): boolean {
    const { wanted } = this;
    return this.#master.children().some((child) => {
      const heap = this.#heaps.get(child);
      return child.state === 'ready' && heap !== undefined && heap !== 'said' && heap !== wanted;
    });
  }

  #prepare(spec: ForkSpec): void {
    if (spec.role === 'agent') this.#hasAgent = true;
    const heap = isSaid(spec) ? 'said' : this.wanted;
    this.#forking.set(spec.slot, heap);
    if (typeof heap === 'number') spec.execArgv.push(`--max-heap-size=${heap}`);
  }

  #forked(child: ChildView): void {
    const heap = this.#forking.get(child.slot);
    if (heap !== undefined) this.#heaps.set(child, heap);
  }
}

const isSaid = ({ execArgv, env }: ForkSpec): boolean =>
  [...execArgv, env.NODE_OPTIONS ?? process.env.NODE_OPTIONS ?? ''].some((text) => SAID.test(text));
