import { rmSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import path from 'node:path';
import type { Master, ChildView } from '../../lib/index.js';
import type { OwnerTable } from './messages.js';

/** Milliseconds that a worker may take to note a change; a blocked one learns it later. */
const ACKNOWLEDGE = 1_000;
/** How often it is looked whether the sockets are still there, and how soon again when one is missed, ms. */
const LOOK = 5_000;
const LOOK_AGAIN = 100;

/** In the master: keeps every worker told who is in charge of each slot. */
export class Owners {
  /** Where the workers' private sockets are; of this user alone. */
  #dir: string;
  /** What it looked like; null: to be looked after. */
  #seen: string | null = null;
  #lookedAt = 0;
  readonly #master: Master;
  readonly #alive = new Map<number, ChildView>();
  /** Slots that have had a worker. */
  readonly #known = new Set<number>();
  #slots: number[] = [];

  constructor(master: Master) {
    this.#master = master;
    const { hooks } = master;
    this.#dir = firstDir(master);
    const looking = setInterval(() => { void this.#look(); }, LOOK).unref();
    hooks.closed.tap('sticky-session', () => {
      clearInterval(looking);
      rmSync(this.#dir, { recursive: true, force: true });
    });
    hooks.workerForked.tap('sticky-session', (child) => {
      child.channel.on('sticky-session.leave', async () => {
        this.#alive.delete(child.id);
        await this.#publish(child);
        const timeout = master.deadlines.drain;
        await this.#tell(child, (other) => other.channel.request('sticky-session.release', { id: child.id }, { timeout }));
        return true;
      });
      child.channel.on('sticky-session.missing', () => {
        if (performance.now() - this.#lookedAt < LOOK_AGAIN) return;
        this.#seen = null;
        void this.#look();
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
      rmSync(path.join(this.#dir, `${child.id}.sock`), { force: true });
      void this.#publish();
    });
    hooks.scaleChanged.tap('sticky-session', (from, to) => {
      for (let slot = to; slot < from; slot++) this.#known.delete(slot);
    });
    hooks.beforeDrain.tapPromise('sticky-session', () => this.#publish());
  }

  /** A cleaner takes the directory, or a socket in it: then each worker looks after its own. One lstat otherwise. */
  async #look(): Promise<void> {
    this.#lookedAt = performance.now();
    const { mode, ino, uid, ctimeMs } = await lstat(this.#dir).catch(() => ({ mode: 0, ino: 0, uid: 0, ctimeMs: 0 }));
    const looks = [this.#dir, mode, ino, uid, ctimeMs].join(' ');
    if (looks === this.#seen || this.#master.closing) return;
    this.#seen = looks;
    await this.#publish();
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
    return { slots: this.#slots, alive: [...this.#alive.keys()], closing: this.#master.closing, dir: this.#freshDir() };
  }

  /** The place may have been taken away, and be another one from now on. */
  #freshDir(): string {
    try {
      if (!this.#master.closing) this.#dir = this.#master.privateDir();
    } catch (error) {
      this.#master.logger.error('sticky-session: no directory for the workers\' private sockets', { error });
    }
    return this.#dir;
  }

  async #tell(except: ChildView | undefined, tell: (child: ChildView) => Promise<unknown>): Promise<void> {
    const told = this.#master.children().filter((child) =>
      child.role === 'worker' && child !== except && child.state !== 'exited' && child.state !== 'killing');
    await Promise.allSettled(told.map(tell));
  }
}

function firstDir(master: Master): string {
  try {
    return master.privateDir();
  } catch (error) {
    throw new Error(`sticky-session: no directory for the workers' private sockets: ${(error as Error).message}`);
  }
}
