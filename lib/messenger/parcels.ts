import type { Socket } from 'node:net';
import { ClusterError } from '../kit/errors.js';
import { joined } from './bus-frames.js';

/** What becomes of what is sent to a process that reads too slowly. */
export type OnFull = 'wait' | 'drop-oldest' | 'error';

export interface Limit {
  /** Bytes that are kept for one process. */
  outbox: number;
  onFull: OnFull;
}

/** A message on its way: its frame and, of a request, its number. */
export interface Parcel {
  frame: Buffer;
  request: number | undefined;
}

/** Bytes of one write: less than a socket of Linux takes at once. */
const SLAB = 64 * 1024;
/** Bytes that do not wait for the end of the turn: the other side can begin with them. What comes behind them goes by whole slabs. */
const EARLY = 16 * 1024;
/** With `wait`: who goes on sending all the same has this many outboxes. */
const PATIENCE = 2;

/**
 * What is sent to one process and not taken by it, in order. All that is sent in one turn of the event loop leaves in one write,
 * and one write is under way at a time: what waits can still be dropped, or be told from what has left.
 */
export class Parcels {
  /** Bytes that the other side has not taken. */
  size = 0;
  readonly #limit: Limit;
  /** Told of each that is not kept. */
  readonly #dropped: (parcel: Parcel) => void;
  #queue: Parcel[] = [];
  /** Of the queue: those before it have left. */
  #head = 0;
  #socket: Socket | null = null;
  #writing = 0;
  #scheduled = false;
  /** This turn's first bytes have left. */
  #begun = false;
  #waiting: (() => void)[] = [];

  constructor(limit: Limit, dropped: (parcel: Parcel) => void) {
    this.#limit = limit;
    this.#dropped = dropped;
  }

  /** There is room for more without anybody having to wait. */
  get hasRoom(): boolean {
    return this.size <= this.#limit.outbox;
  }

  /**
   * False: it is kept, or dropped, and whoever sends should wait (`room`).
   * `always`: an answer, as who asks and does not read is not read either.
   * @throws ClusterError ERR_CLUSTER_NOT_READING where it is full and the policy, or a request, wants to know
   */
  push(parcel: Parcel, always = false): boolean {
    if (!always && this.size > 0 && this.size + parcel.frame.length > this.#limit.outbox && !this.#makeRoom(parcel)) return false;
    this.size += parcel.frame.length;
    this.#queue.push(parcel);
    if (!this.#socket || this.#writing > 0) return this.hasRoom;
    if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(this.#endTurn);
    }
    if (this.size >= (this.#begun ? SLAB : EARLY)) {
      this.#begun = true;
      this.#flush();
    }
    return this.hasRoom;
  }

  /** Numbers of the requests among those that have not left. */
  requests(): number[] {
    return this.#queue.flatMap(({ request }) => request ?? []);
  }

  /** Resolves when half of it is empty. */
  room(): Promise<void> {
    return this.hasRoom ? Promise.resolve() : new Promise((resolve) => { this.#waiting.push(resolve); });
  }

  /** What is here, and comes, goes there. */
  attach(socket: Socket): void {
    this.#socket = socket;
    this.#writing = 0;
    this.#flush();
  }

  /** The socket is gone, with what was being written. */
  detach(): void {
    this.#socket = null;
    this.size -= this.#writing;
    this.#writing = 0;
    this.#tellRoom();
  }

  /** Takes all out that has not left. */
  takeAll(): Parcel[] {
    const rest = this.#queue.slice(this.#head);
    this.#queue = [];
    this.#head = 0;
    this.size = this.#writing;
    this.#tellRoom();
    return rest;
  }

  readonly #endTurn = (): void => {
    this.#scheduled = false;
    this.#begun = false;
    this.#flush();
  };

  /** Writes what this turn has sent so far. */
  readonly #flush = (): void => {
    while (this.#socket && this.#writing === 0 && this.#head < this.#queue.length) this.#writeOn(this.#socket);
  };

  #writeOn(socket: Socket): void {
    const frames: Buffer[] = [];
    let bytes = 0;
    for (; this.#head < this.#queue.length; this.#head++) {
      const { frame } = this.#queue[this.#head] as Parcel;
      if (bytes > 0 && bytes + frame.length > SLAB) break;
      // An array that only grows at its end and is read further on would keep all of them.
      this.#queue[this.#head] = GONE;
      frames.push(frame);
      bytes += frame.length;
    }
    this.#trim();
    this.#writing = bytes;
    const written = (): void => {
      if (socket !== this.#socket || this.#writing !== bytes) return;
      this.size -= bytes;
      this.#writing = 0;
      this.#tellRoom();
    };
    let isLate = false;
    socket.write(joined(frames, bytes), () => {
      if (!isLate) return;
      written();
      this.#flush();
    });
    // The kernel has it already.
    if (socket.writableLength === 0) written();
    else isLate = true;
  }

  /** Before the process ends; what the other side's pipe does not take now is lost. */
  flushNow(): void {
    this.#flush();
  }

  /** Those that have left are not kept. */
  #trim(): void {
    if (this.#head === this.#queue.length) this.#queue = [];
    else if (this.#head > 1_000 && this.#head > this.#queue.length / 2) this.#queue = this.#queue.slice(this.#head);
    else return;
    this.#head = 0;
  }

  #makeRoom(parcel: Parcel): boolean {
    const { frame, request } = parcel;
    const { outbox, onFull } = this.#limit;
    if (onFull === 'wait' && this.size + frame.length <= PATIENCE * outbox) return true;
    if (onFull === 'drop-oldest') {
      while (this.#head < this.#queue.length && this.size + frame.length > outbox) this.#drop();
      return true;
    }
    if (onFull === 'wait' && request === undefined) {
      this.#dropped(parcel);
      return false;
    }
    throw new ClusterError('ERR_CLUSTER_NOT_READING', `${this.size} bytes wait to be read there, and more are not kept (messages.outbox)`);
  }

  #drop(): void {
    const parcel = this.#queue[this.#head] as Parcel;
    this.#queue[this.#head++] = GONE;
    this.size -= parcel.frame.length;
    this.#trim();
    this.#dropped(parcel);
  }

  #tellRoom(): void {
    if (this.#waiting.length === 0 || this.size > this.#limit.outbox / 2) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

const GONE: Parcel = { frame: Buffer.alloc(0), request: undefined };

/** What a process sends to itself: it is heard a turn later, and bounded as what goes elsewhere. */
export class OwnParcels {
  readonly #parcels: Parcels;
  readonly #hear: (frame: Buffer) => void;
  #due = false;

  constructor(limit: Limit, hear: (frame: Buffer) => void, dropped: (parcel: Parcel) => void) {
    this.#parcels = new Parcels(limit, dropped);
    this.#hear = hear;
  }

  /** As Parcels does it. */
  push(parcel: Parcel): boolean {
    const goesOn = this.#parcels.push(parcel);
    if (!this.#due) setImmediate(this.#hearAll);
    this.#due = true;
    return goesOn;
  }

  room(): Promise<void> {
    return this.#parcels.room();
  }

  readonly #hearAll = (): void => {
    this.#due = false;
    for (const { frame } of this.#parcels.takeAll()) this.#hear(frame);
  };
}
