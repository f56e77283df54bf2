import type { Faults } from '../../kit/faults.js';
import { ParkingPlace } from '../../node/parked-socket.js';
import type { RawHandle } from '../../node/raw-sockets.js';
import type { Room } from './room.js';

type OnConnection = NonNullable<RawHandle['onconnection']>;

/** So many are in the master before what is needed to stop accepting is got ready. */
const SOME = 64;
/** Milliseconds until it is tried again where it could not be had. */
const AGAIN = 1_000;

/**
 * The socket of a listening address, which can stop accepting and go on: meanwhile those who come wait in the kernel. What
 * node:cluster knows of it is its first handle, whatever is below; so that one goes on answering in its place.
 */
export class ListeningSocket {
  /** node:cluster's. */
  readonly handle: RawHandle;
  readonly #onconnection: OnConnection;
  readonly #close: () => void;
  readonly #room: Room;
  readonly #faults: Faults;
  /** What accepts; null while it is parked. */
  #live: RawHandle | null;
  #place: ParkingPlace | null = null;
  /** performance.now() from which on the place is got ready, where it is not. */
  #prepareAt = 0;
  #listening = true;
  /** With so many or fewer in the master it accepts again. */
  #resumeAt = 0;

  constructor(handle: RawHandle, onconnection: OnConnection, { room, faults }: { room: Room; faults: Faults }) {
    this.handle = this.#live = handle;
    this.#onconnection = onconnection;
    this.#close = handle.close.bind(handle);
    this.#room = room;
    this.#faults = faults;
    handle.onconnection = onconnection;
    // A burst would leave nothing for it.
    if (room.small) this.#prepare();
  }

  get listening(): boolean {
    return this.#listening;
  }

  get paused(): boolean {
    return this.#live === null;
  }

  /**
   * Whether a connection that has just come may stay, beside `held` others in the master. Where there is hardly room, whoever comes
   * after it waits in the kernel until half of those are gone.
   */
  admits({ fd = 0 }: RawHandle, held: number): boolean {
    if (held >= SOME || this.#room.small) this.#prepare();
    const left = this.#room.left(fd, held);
    if (left === 'enough' || this.paused) return true;
    const paused = this.#pause();
    if (paused) this.#resumeAt = held / 2;
    this.#room.tell(held, !paused);
    return paused || left === 'short';
  }

  /**
   * Goes on with another handle for the same port; the one there is has to be closed first, in the same turn. False where it
   * is parked, or `make` makes none.
   */
  replace(make: () => RawHandle | null): boolean {
    if (this.paused || !this.#listening) return false;
    this.#closeLive();
    const live = make();
    if (!live) {
      this.#faults.caught('a listening socket', new Error('it cannot be opened anew: nobody listens on its address any more'));
      return false;
    }
    live.onconnection = this.#onconnection;
    this.#live = live;
    this.#named(live);
    return true;
  }

  /** So many are left in the master. */
  relieved(held: number): void {
    if (this.paused && held <= this.#resumeAt) this.#resume();
  }

  /** Gets what a pause needs, as it could not be had any more then. */
  #prepare(): void {
    if (performance.now() < this.#prepareAt) return;
    this.#prepareAt = Infinity;
    this.#faults.watch('a place for a listening socket', ParkingPlace.open().then((place) => {
      // Descriptors may be short now, and not later.
      if (!place) this.#prepareAt = performance.now() + AGAIN;
      if (this.#listening) this.#place = place;
      else place?.close();
    }));
  }

  #pause(): boolean {
    const live = this.#live;
    if (!live || !this.#place || !this.#listening) return false;
    this.#named(live);
    if (!this.#place.park(live)) return false;
    this.#closeLive();
    return true;
  }

  #resume(): void {
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

  /** For good. */
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
