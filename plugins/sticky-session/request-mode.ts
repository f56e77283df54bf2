import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Master, ChildView } from '../../lib/index.js';
import type { OwnerTable } from './messages.js';

/** Milliseconds that a worker may take to note a change; a blocked one learns it later. */
const ACKNOWLEDGE = 1_000;
/** Longest path of a unix socket in bytes, and what a socket's name takes of it. */
const LONGEST_PATH = 103;
const NAME = 16;

/** In the master: keeps every worker told who is in charge of each slot. */
export class Owners {
  /** Where the workers' private sockets are; of this user alone. */
  readonly dir = privateDir();
  readonly #master: Master;
  readonly #alive = new Map<number, ChildView>();
  /** Slots that have had a worker. */
  readonly #known = new Set<number>();
  #slots: number[] = [];

  constructor(master: Master) {
    this.#master = master;
    const { hooks } = master;
    const remove = () => rmSync(this.dir, { recursive: true, force: true });
    process.once('exit', remove);
    hooks.closed.tap('sticky-session', () => {
      process.off('exit', remove);
      remove();
    });
    hooks.workerForked.tap('sticky-session', (child) => {
      child.channel.on('sticky-session.leave', async () => {
        this.#alive.delete(child.id);
        await this.#publish(child);
        const timeout = master.deadlines.drain;
        await this.#tell(child, (other) => other.channel.request('sticky-session.release', { id: child.id }, { timeout }));
        return true;
      });
      // It waits for this before it loads the app: it may listen, and get requests, before it is ready.
      void this.#publish();
      void child.channel.request('sticky-session.table', this.#table(), { timeout: ACKNOWLEDGE }).catch(() => {});
    });
    hooks.workerReady.tap('sticky-session', (child) => {
      this.#alive.set(child.id, child);
      this.#known.add(child.slot);
      void this.#publish();
    });
    hooks.workerExit.tap('sticky-session', (child) => {
      this.#alive.delete(child.id);
      rmSync(this.socketOf(child.id), { force: true });
      void this.#publish();
    });
    hooks.scaleChanged.tap('sticky-session', (from, to) => {
      for (let slot = to; slot < from; slot++) this.#known.delete(slot);
    });
    hooks.beforeDrain.tapPromise('sticky-session', () => this.#publish());
  }

  socketOf(id: number): string {
    return path.join(this.dir, `${id}.sock`);
  }

  /** Resolves when all workers but `except` know the table, or had time to. */
  async #publish(except?: ChildView): Promise<void> {
    const { slots, started } = this.#master;
    this.#slots = slots.map(({ index, current }) => {
      if (current?.state === 'ready' && this.#alive.has(current.id)) return current.id;
      const before = this.#slots[index] ?? 0;
      if (this.#alive.has(before)) return before;
      const other = [...this.#alive.values()].find((child) => child.slot === index);
      return other?.id ?? (this.#known.has(index) || !started ? 0 : -1);
    });
    const table = this.#table();
    await this.#tell(except, (child) => child.channel.request('sticky-session.table', table, { timeout: ACKNOWLEDGE }));
  }

  #table(): OwnerTable {
    return { slots: this.#slots, alive: [...this.#alive.keys()], closing: this.#master.closing };
  }

  async #tell(except: ChildView | undefined, tell: (child: ChildView) => Promise<unknown>): Promise<void> {
    const told = this.#master.children().filter((child) =>
      child.role === 'worker' && child !== except && child.state !== 'exited' && child.state !== 'killing');
    await Promise.allSettled(told.map(tell));
  }
}

function privateDir(): string {
  let reason: unknown;
  for (const base of [process.env.XDG_RUNTIME_DIR, os.tmpdir(), '/tmp']) {
    if (!base || Buffer.byteLength(base) + 'ht-sticky-XXXXXX'.length + NAME > LONGEST_PATH) continue;
    try {
      return mkdtempSync(path.join(base, 'ht-sticky-'));
    } catch (error) {
      reason ??= error;
    }
  }
  const why = reason instanceof Error ? reason.message : 'all paths are too long';
  throw new Error(`sticky-session: no directory for the workers' private sockets: ${why}`);
}
