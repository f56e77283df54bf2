import type { Faults } from '../../kit/faults.js';
import { atMost } from '../../kit/time.js';
import { message, sendHandle } from '../../node/cluster.js';
import { bindAt, boundTo, listenAt, standInFor, type Place } from '../../node/listening.js';
import type { Doubles } from '../../node/parked-socket.js';
import type { RawHandle } from '../../node/raw-sockets.js';
import type { Child } from '../processes/child.js';
import { AGAIN, Listening, type OnConnection } from './listening-socket.js';
import type { Room } from './room.js';

/** Milliseconds that workers have to let their sockets go at a stop: a blocked one does not. */
const LET_GO = 500;

export interface SlotSocketsOptions {
  place: Place;
  /** Of the worker that asks for the address. */
  slot: number;
  backlog: number;
  doubles: Doubles;
  room: Room;
  faults: Faults;
}

/** What a slot's socket needs of its address. */
interface Needs extends Pick<SlotSocketsOptions, 'backlog' | 'doubles' | 'faults'> {
  onconnection: OnConnection;
  /** Nothing is to be accepted in this process for now. */
  paused(): boolean;
}

/**
 * A listening address of which each slot has a socket of its own (SO_REUSEPORT), with a queue of its own in the kernel. The worker of
 * the slot accepts from it, and this process keeps it open: what waits outlives that worker, and its successor takes it over. The
 * kernel goes on filling the queue of a slot that has no worker which is ready: what comes there is accepted here and handed out
 * (docs/decisions/reuse-port.md).
 */
export class SlotSockets extends Listening {
  readonly handle: RawHandle;
  readonly #slots = new Map<number, SlotSocket>();
  /** Who is ready, with the name of its listener. */
  readonly #members = new Map<Child, string>();
  /** Who has no room now, and is asked again. */
  readonly #later = new Set<Child>();
  readonly #options: SlotSocketsOptions;
  readonly #needs: Needs;
  #place: Place;
  #open = true;
  #paused = false;
  #accepted = 0;

  private constructor(first: RawHandle, options: SlotSocketsOptions, onconnection: OnConnection) {
    super(options.room);
    this.#options = options;
    this.#needs = { ...options, paused: () => this.#paused, onconnection: (error, client) => {
      this.#accepted++;
      onconnection(error, client);
    } };
    this.#place = boundTo(first, options.place);
    this.handle = standInFor({ close: () => {}, getsockname: (out) => this.#sockets[0]?.handle?.getsockname?.(out) ?? 0 }, null);
    this.#slots.set(options.slot, SlotSocket.listening(first, this.#needs));
  }

  /** Null where the system says no, or another program listens there: the two would get each other's connections. */
  static open(options: SlotSocketsOptions): ((onconnection: OnConnection) => SlotSockets) | null {
    const { place, backlog } = options;
    if (place.port !== 0) {
      const alone = bindAt(place);
      if (!alone) return null;
      alone.close();
    }
    const first = listenAt(place, { shared: true, backlog });
    return first && ((onconnection) => new SlotSockets(first, options, onconnection));
  }

  get listening(): boolean { return this.#open; }

  get paused(): boolean { return this.#paused; }

  get #sockets(): SlotSocket[] { return [...this.#slots.values()]; }

  override joined(child: Child, key: string): void {
    this.#members.set(child, key);
    this.#give(child, key);
  }

  override left(child: Child): void {
    this.#members.delete(child);
    for (const socket of this.#sockets) socket.left(child);
  }

  override took(child: Child, accepts: boolean): void {
    const key = this.#members.get(child);
    if (key === undefined) return;
    if (accepts) return this.#socketOf(child.slot).taken(child);
    for (const socket of this.#sockets) socket.left(child);
    if (this.#later.has(child)) return;
    this.#later.add(child);
    setTimeout(this.#options.faults.guard('a slot\'s socket', () => {
      this.#later.delete(child);
      if (this.#members.get(child) === key) this.#give(child, key);
    }), AGAIN).unref();
  }

  /** A worker closes the old socket when it gets the new one. */
  move(wanted: Place, now: Place): Place | null {
    if (this.#paused || !this.#open) return null;
    const first = listenAt(wanted, { shared: true, backlog: this.#options.backlog });
    if (!first) return now;
    const [slot = 0] = this.#slots.keys();
    for (const old of this.#sockets) old.close();
    this.#slots.clear();
    this.#place = boundTo(first, wanted);
    this.#slots.set(slot, SlotSocket.listening(first, this.#needs));
    for (const [child, key] of this.#members) this.#give(child, key);
    return wanted;
  }

  override async takeBack(limit: number): Promise<void> {
    const deadline = performance.now() + limit;
    const members = [...this.#members];
    this.#members.clear();
    const accepting = this.#sockets.map((socket) => socket.takeBack());
    const lettingGo = members.map(([{ channel }, key]) => channel.request('child.letGo', { key }, { timeout: LET_GO }));
    await atMost(limit, Promise.allSettled([...accepting, ...lettingGo]));
    // A turn of the loop accepts one from each socket.
    for (let before = -1; before !== this.#accepted && performance.now() < deadline;) {
      before = this.#accepted;
      await super.takeBack(limit);
      await super.takeBack(limit);
    }
  }

  close(): void {
    this.#open = false;
    this.#members.clear();
    for (const socket of this.#sockets) socket.close();
  }

  protected prepare(): void {
    for (const socket of this.#sockets) void socket.settle(true);
  }

  protected pause(): boolean {
    for (const socket of this.#sockets) socket.rest();
    return this.#paused = this.#sockets.every(({ accepts }) => !accepts);
  }

  protected resume(): void {
    this.#paused = false;
    for (const socket of this.#sockets) void socket.settle();
  }

  #give(child: Child, key: string): void {
    const { handle } = this.#socketOf(child.slot);
    if (!handle) return;
    // What becomes of it, the worker says (`took`).
    sendHandle(child.process, { cmd: message.slotSocket, key, backlog: this.#options.backlog }, handle, () => {});
  }

  /** Where a slot's own cannot be had (no descriptor, no right to the port any more), it is another one's, whose worker shares it. */
  #socketOf(slot: number): SlotSocket {
    const own = this.#slots.get(slot);
    if (own) return own;
    const kept = bindAt(this.#place, true);
    if (!kept) return this.#sockets[slot % this.#slots.size] as SlotSocket;
    const made = new SlotSocket(kept, null, this.#needs);
    this.#slots.set(slot, made);
    return made;
  }
}

/**
 * One socket, of which this process has two handles: one that it keeps and never listens on, to be given to workers, and one
 * that accepts, while no worker does.
 */
class SlotSocket {
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
