import type { Faults } from '../../kit/faults.js';
import { atMost } from '../../kit/time.js';
import { message, sendHandle } from '../../node/cluster.js';
import { bindAt, boundTo, listenAt, standInFor, type Place } from '../../node/listening.js';
import type { Doubles } from '../../node/parked-socket.js';
import type { RawHandle } from '../../node/raw-sockets.js';
import type { Child } from '../processes/child.js';
import { AGAIN, Listening, type OnConnection } from './listening-socket.js';
import type { Room } from './room.js';
import { SlotSocket, type Needs } from './slot-socket.js';

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
  /** Who has not let its socket go, at a stop. */
  readonly #blocked = new Set<Child>();
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
    const lettingGo = members.map(async ([child, key]) => {
      this.#blocked.add(child);
      await child.channel.request('child.letGo', { key }, { timeout: LET_GO });
      this.#blocked.delete(child);
    });
    await atMost(limit, Promise.allSettled([...accepting, ...lettingGo]));
    // A turn of the loop accepts one from each socket.
    for (let before = -1; before !== this.#accepted && performance.now() < deadline;) {
      before = this.#accepted;
      await super.takeBack(limit);
      await super.takeBack(limit);
    }
  }

  /** What a blocked worker has cannot be closed here, and the kernel goes on sending it who comes: they are refused all the same. */
  override stop(): void {
    this.#open = false;
    const held = new Set([...this.#blocked].map(({ slot }) => this.#socketOf(slot)));
    for (const socket of this.#sockets) if (held.has(socket)) socket.refuse(); else socket.close();
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
