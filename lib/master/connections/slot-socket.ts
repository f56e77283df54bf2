import type { Faults } from '../../kit/faults.js';
import type { Doubles } from '../../node/parked-socket.js';
import { refuse, type RawHandle } from '../../node/raw-sockets.js';
import type { Child } from '../processes/child.js';
import { AGAIN, type OnConnection } from './listening-socket.js';

/** What a slot's socket needs of its address. */
export interface Needs {
  backlog: number;
  doubles: Doubles;
  faults: Faults;
  onconnection: OnConnection;
  /** Nothing is to be accepted in this process for now. */
  paused(): boolean;
}

/**
 * One socket, of which this process has two handles: one that it keeps and never listens on, to be given to workers, and one
 * that accepts, while no worker does.
 */
export class SlotSocket {
  #kept: RawHandle | null;
  #live: RawHandle | null;
  readonly #takers = new Set<Child>();
  readonly #needs: Needs;
  /** Until it has the other handle. */
  #doubling: Promise<void> | null = null;
  #open = true;

  constructor(kept: RawHandle | null, live: RawHandle | null, needs: Needs) {
    this.#kept = kept;
    this.#live = live;
    this.#needs = needs;
  }

  /** It listens already, as nobody is ready yet. */
  static listening(handle: RawHandle, needs: Needs): SlotSocket {
    handle.onconnection = needs.onconnection;
    return new SlotSocket(null, handle, needs);
  }

  /** What may be sent to another process; null when it is closed. */
  get handle(): RawHandle | null {
    return this.#kept ?? this.#live;
  }

  /** In this process. */
  get accepts(): boolean {
    return this.#live !== null;
  }

  taken(child: Child): void {
    this.#takers.add(child);
    void this.settle();
  }

  left(child: Child): void {
    if (this.#takers.delete(child)) void this.settle();
  }

  /** Resolves when it accepts in this process, as far as it can. */
  takeBack(): Promise<void> {
    this.#takers.clear();
    return this.settle();
  }

  /**
   * Accepts here where nobody else does, and nowhere else. Without a worker one handle is enough, and a second one, on its way, would
   * keep the port of an app that only looked whether that is free; `ready`: it may have to stop accepting.
   */
  async settle(ready = false): Promise<void> {
    if (this.#doubling || !this.#open) return this.#doubling ?? undefined;
    if (!this.#wanted) this.rest();
    const one = this.#kept ?? this.#live;
    const lacks = this.#kept ? this.#wanted && !this.#live : ready || !this.#wanted;
    if (!one || !lacks) return;
    const { doubles, faults } = this.#needs;
    this.#doubling = doubles.of(one).then((double) => this.#doubled(double));
    faults.watch('a slot\'s socket', this.#doubling);
    return this.#doubling;
  }

  rest(): void {
    if (!this.#kept) return;
    this.#live?.close();
    this.#live = null;
  }

  /** All who come to it from now on. */
  refuse(): void {
    this.#open = false;
    if (!this.#live) return this.close();
    this.#live.onconnection = (_error, client) => { if (client) refuse(client); };
  }

  close(): void {
    this.#open = false;
    for (const handle of [this.#kept, this.#live]) handle?.close();
    this.#kept = this.#live = null;
  }

  get #wanted(): boolean {
    return this.#takers.size === 0 && !this.#needs.paused();
  }

  #doubled(double: RawHandle | null): void {
    this.#doubling = null;
    if (!this.#open) return double?.close();
    if (!double) return this.#without();
    if (!this.#kept) this.#kept = double;
    else if (this.#wanted) this.#listen(double);
    else double.close();
    void this.settle();
  }

  /** What it has is all that it gets, for now or, where there are no pipes, for good: then worker and master accept both. */
  #without(): void {
    const { doubles, faults } = this.#needs;
    if (doubles.possible) {
      setTimeout(faults.guard('a slot\'s socket', () => this.settle()), AGAIN).unref();
    } else if (this.#wanted && !this.#live && this.#kept) {
      this.#listen(this.#kept);
      this.#kept = null;
    }
  }

  #listen(handle: RawHandle): void {
    this.#live = handle;
    handle.onconnection = this.#needs.onconnection;
    handle.listen?.(this.#needs.backlog);
  }
}
