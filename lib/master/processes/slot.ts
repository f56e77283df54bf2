import type { Child, ExitInfo } from './child.js';

/** A stable place for a worker. It outlives its processes: sticky clients and `CLUSTER_SLOT` belong to the slot. */
export class Slot {
  readonly index: number;
  /** The process that serves the slot, or is on its way to. */
  current: Child | null = null;
  /** A replacement that is not in charge yet. */
  successor: Child | null = null;
  /** Processes that drain after they were replaced. */
  readonly departing = new Set<Child>();
  restarts = 0;
  /** Ends in a row, none of them after a long life (refork-policy). */
  streak = 0;
  lastExit: (ExitInfo & { pid: number; at: string; error?: string }) | null = null;
  /** Set while a delayed refork waits. */
  refork: { timer: NodeJS.Timeout; delay: number } | null = null;
  /** A `beforeRefork` tap said to leave it empty. */
  left = false;

  constructor(index: number) {
    this.index = index;
  }

  get ready(): boolean {
    return this.current?.state === 'ready';
  }

  /** Starting, or waiting to start. */
  get pending(): boolean {
    return this.refork !== null || this.current?.state === 'forked' || this.current?.state === 'booting';
  }

  children(): Child[] {
    return [this.current, this.successor, ...this.departing].filter((child): child is Child => child !== null && child.state !== 'exited');
  }

  cancelRefork(): void {
    clearTimeout(this.refork?.timer);
    this.refork = null;
  }
}
