import type { Faults } from '../../kit/faults.js';
import { listenAt, type Place } from '../../node/listening.js';
import { ParkingPlace } from '../../node/parked-socket.js';
import type { RawHandle } from '../../node/raw-sockets.js';
import type { Child } from '../processes/child.js';
import type { Room } from './room.js';

export type OnConnection = NonNullable<RawHandle['onconnection']>;

/** So many are in the master before what is needed to stop accepting is got ready. */
const SOME = 64;
/** Milliseconds until it is tried again where it could not be had. */
export const AGAIN = 1_000;

/** What a listening address takes its connections from. Where there is hardly room, those who come wait in the kernel. */
export abstract class Listening {
  /** What node:cluster knows of it. */
  abstract readonly handle: RawHandle;
  readonly #room: Room;
  /** With so many or fewer in the master it accepts again. */
  #resumeAt = 0;
  /** Connections that have come. */
  #seen = 0;

  constructor(room: Room) {
    this.#room = room;
  }

  abstract get listening(): boolean;
  abstract get paused(): boolean;

  /**
   * From one place to another on the same port. Says where it is then, which is the old one where the new one cannot be had; null
   * where it is parked, or lost.
   */
  abstract move(wanted: Place, now: Place): Place | null;

  /** Accepts no more, at a stop. Where workers listen as well, they may still have it. */
  stop(): void {
    this.close();
  }

  /** For good. */
  abstract close(): void;

  /** What a pause needs is got ready, as it could not be had any more then. */
  protected abstract prepare(): void;
  protected abstract pause(): boolean;
  protected abstract resume(): void;

  /** A worker takes connections, as its listener `key`, or takes none any more. */
  joined(_child: Child, _key: string): void {}
  left(_child: Child): void {}

  /** It accepts by itself, or cannot just now. */
  took(_child: Child, _accepts: boolean): void {}

  /** Resolves when all that has come is in the master, or after `limit` ms: who still waits in the kernel would be reset. */
  async takeBack(limit: number): Promise<void> {
    const until = performance.now() + limit;
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    // The end of this turn of the loop. From there on each takes one that waits, so that the first which takes none was the last.
    await turn();
    for (let before = -1; before !== this.#seen && performance.now() < until;) {
      before = this.#seen;
      await turn();
    }
  }

  /**
   * Whether a connection that has just come may stay, beside `held` others in the master. Where there is hardly room, whoever comes
   * after it waits in the kernel until half of those are gone.
   */
  admits({ fd = 0 }: RawHandle, held: number): boolean {
    this.#seen++;
    if (held >= SOME || this.#room.small) this.prepare();
    const left = this.#room.left(fd, held);
    if (left === 'enough' || this.paused) return true;
    const paused = this.pause();
    if (paused) this.#resumeAt = held / 2;
    this.#room.tell(held, !paused);
    return paused || left === 'short';
  }

  /** So many are left in the master. */
  relieved(held: number): void {
    if (this.paused && held <= this.#resumeAt) this.resume();
  }
}

/**
 * The socket of a listening address, which can stop accepting and go on. What node:cluster knows of it is its first handle,
 * whatever is below; so that one goes on answering in its place.
 */
export class ListeningSocket extends Listening {
  readonly handle: RawHandle;
  readonly #onconnection: OnConnection;
  readonly #close: () => void;
  readonly #faults: Faults;
  /** What accepts; null while it is parked. */
  #live: RawHandle | null;
  #place: ParkingPlace | null = null;
  /** performance.now() from which on the place is got ready, where it is not. */
  #prepareAt = 0;
  #listening = true;

  constructor(handle: RawHandle, onconnection: OnConnection, { room, faults }: { room: Room; faults: Faults }) {
    super(room);
    this.handle = this.#live = handle;
    this.#onconnection = onconnection;
    this.#close = handle.close.bind(handle);
    this.#faults = faults;
    handle.onconnection = onconnection;
    // A burst would leave nothing for it.
    if (room.small) this.prepare();
  }

  get listening(): boolean {
    return this.#listening;
  }

  get paused(): boolean {
    return this.#live === null;
  }

  /** The system lets nobody listen on both, so the old one is closed before, in the same turn. */
  move(wanted: Place, now: Place): Place | null {
    if (this.paused || !this.#listening) return null;
    this.#closeLive();
    for (const place of [wanted, now]) {
      const live = listenAt(place);
      if (!live) continue;
      live.onconnection = this.#onconnection;
      this.#live = live;
      this.#named(live);
      return place;
    }
    this.#faults.caught('a listening socket', new Error('it cannot be opened anew: nobody listens on its address any more'));
    return null;
  }

  protected prepare(): void {
    if (performance.now() < this.#prepareAt) return;
    this.#prepareAt = Infinity;
    this.#faults.watch('a place for a listening socket', ParkingPlace.open().then((place) => {
      // Descriptors may be short now, and not later.
      if (!place) this.#prepareAt = performance.now() + AGAIN;
      if (this.#listening) this.#place = place;
      else place?.close();
    }));
  }

  protected pause(): boolean {
    const live = this.#live;
    if (!live || !this.#place || !this.#listening) return false;
    this.#named(live);
    if (!this.#place.park(live)) return false;
    this.#closeLive();
    return true;
  }

  protected resume(): void {
    const place = this.#place;
    if (!place || !this.#listening) return;
    this.#place = null;
    this.#faults.watch('a parked listening socket', place.take(this.#onconnection).then((handle) => {
      if (!handle) throw new Error('it is lost: nobody listens on its address any more');
      this.#place = place;
      this.#live = handle;
      if (!this.#listening) this.#end();
    }));
  }

  /** node:cluster asks the handle that it knows for its address, whatever has become of it. */
  #named(live: RawHandle): void {
    const { handle } = this;
    const name = {};
    if (live.getsockname?.(name) === 0) handle.getsockname = (out) => (Object.assign(out, name), 0);
    handle.listen = () => 0;
  }

  #closeLive(): void {
    if (this.#live === this.handle) this.#close();
    else this.#live?.close();
    this.#live = null;
  }

  close(): void {
    if (!this.#listening) return;
    this.#listening = false;
    this.#end();
  }

  #end(): void {
    this.#closeLive();
    this.#place?.close();
  }
}
